#include "run/kernels/machine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "run/kernels/matmul.h"
#include "run/kernels/parallel.h"
#include "trellis/plan/error.h"

namespace trellis {

bool set_flush_denormals(bool on) {
  // The setting belongs to a thread: each range of the loop is one thread's.
  std::atomic<bool> done{at::globalContext().setFlushDenormal(on)};
  parallel_for(at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    if (!at::globalContext().setFlushDenormal(on)) done = false;
  });
  return done;
}

void require_fast_products(int threads, double (*measure)()) {
  if (const char* slow = std::getenv("TRELLIS_ALLOW_SLOW"); slow && std::string_view(slow) == "1") return;
  constexpr int kTries = 8;  // other programs may have had the processor during one
  double best = 0;
  for (int i = 0; i < kTries && best < kLeastGflops * threads; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    best = std::max(best, measure ? measure() : product_gflops());
  }
  if (best >= kLeastGflops * threads) return;
  throw Error(ExitCode::unsupported,
              fmt::format("matrix products run at {:.1f} GFLOP/s on {} threads; at least {:.0f} a thread are expected", best, threads, kLeastGflops),
              "give ranks x devices.threads no more than the cores that are free, use a processor with AVX2, "
              "or set TRELLIS_ALLOW_SLOW=1 to run all the same");
}

}  // namespace trellis
