#include "run/profile/pace.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

namespace trellis::profile {

Pace::Pace()
    : left_(at::zeros({256, 512}, at::kFloat)),
      right_(at::zeros({512, 512}, at::kFloat)),
      product_(at::zeros({256, 512}, at::kFloat)),
      swept_(at::zeros({1 << 20}, at::kFloat)) {}

double Pace::seconds() {
  std::array<double, 6> times{};
  for (double& time : times) {
    const auto start = std::chrono::steady_clock::now();
    at::mm_out(product_, left_, right_);
    swept_.add_(1);
    time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  // Without the first, which finds other data in the caches, and the slowest, which something may have interrupted.
  std::sort(times.begin() + 1, times.end());
  return std::accumulate(times.begin() + 1, times.end() - 1, 0.0) / (times.size() - 2);
}

}  // namespace trellis::profile
