// Loops over the threads that LibTorch uses for its own operations.
//
// at::parallel_for is sequential in code that is not compiled with OpenMP, and compiling with it can bring a second
// OpenMP runtime into the process; parallel.cpp asks the runtime that LibTorch has loaded.
#pragma once

#include <cstdint>
#include <type_traits>

namespace trellis {

namespace detail {
using RangeBody = void (*)(void* closure, std::int64_t begin, std::int64_t end);
void run_ranges(std::int64_t n, std::int64_t grain, RangeBody body, void* closure);
void run_tasks(std::int64_t n, RangeBody body, void* closure);
}  // namespace detail

// For scratch memory of each thread: below thread_count() in a body of the loops below, called by the same thread.
int thread_index();
int thread_count();

// body(begin, end) on disjoint ranges that cover [0, n), one for each thread and none below `grain` unless n is. Which
// ranges there are depends on the number of threads: do not reduce over them. The body must not throw.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  using Closure = std::remove_reference_t<Body>;
  detail::run_ranges(
      n, grain,
      [](void* closure, std::int64_t begin, std::int64_t end) { (*static_cast<Closure*>(closure))(begin, end); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// body(i) for each i in [0, n); threads take the next one as they become free. For few, unequal pieces of work.
template <class Body>
void parallel_tasks(std::int64_t n, Body&& body) {
  using Closure = std::remove_reference_t<Body>;
  detail::run_tasks(
      n,
      [](void* closure, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) (*static_cast<Closure*>(closure))(i);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace trellis
