#include "run/kernels/machine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <atomic>

#include "run/kernels/parallel.h"

namespace trellis {

bool set_flush_denormals(bool on) {
  // The setting belongs to a thread: each range of the loop is one thread's.
  std::atomic<bool> done{at::globalContext().setFlushDenormal(on)};
  parallel_for(at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    if (!at::globalContext().setFlushDenormal(on)) done = false;
  });
  return done;
}

}  // namespace trellis
