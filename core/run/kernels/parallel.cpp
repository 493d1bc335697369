#include "run/kernels/parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

// GNU OpenMP's entry points, also provided by LLVM's and Intel's runtimes; libtorch_cpu brings one of them.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
}

namespace trellis {

int thread_index() { return omp_in_parallel() ? omp_get_thread_num() : 0; }
int thread_count() { return omp_in_parallel() ? 1 : at::get_num_threads(); }

namespace detail {
namespace {

struct Region {
  std::int64_t n;
  RangeBody body;
  void* closure;
  std::atomic<std::int64_t> next{0};
};

void one_range(void* data) {
  auto& region = *static_cast<Region*>(data);
  const std::int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
  const std::int64_t piece = (region.n + threads - 1) / threads;
  const std::int64_t begin = thread * piece, end = std::min(region.n, begin + piece);
  if (begin < end) region.body(region.closure, begin, end);
}

void next_tasks(void* data) {
  auto& region = *static_cast<Region*>(data);
  for (;;) {
    const std::int64_t i = region.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= region.n) return;
    region.body(region.closure, i, i + 1);
  }
}

}  // namespace

void run_ranges(std::int64_t n, std::int64_t grain, RangeBody body, void* closure) {
  if (n <= 0) return;
  const std::int64_t threads =
      n <= grain ? 1 : std::min<std::int64_t>(thread_count(), n / std::max<std::int64_t>(grain, 1));
  if (threads <= 1) return body(closure, 0, n);
  Region region{n, body, closure};
  GOMP_parallel(one_range, &region, static_cast<unsigned>(threads), 0);
}

void run_tasks(std::int64_t n, RangeBody body, void* closure) {
  if (n <= 0) return;
  const std::int64_t threads = std::min<std::int64_t>(thread_count(), n);
  if (threads <= 1) return body(closure, 0, n);
  Region region{n, body, closure};
  GOMP_parallel(next_tasks, &region, static_cast<unsigned>(threads), 0);
}

}  // namespace detail
}  // namespace trellis
