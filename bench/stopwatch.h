// Wall time, and the processor time of this process, which other load on the machine disturbs less.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

namespace trellis::bench {

class Stopwatch {
 public:
  double wall_ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }
  double cpu_ms() const { return process_ms() - cpu_start_; }

 private:
  static double process_ms() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
  }
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double cpu_start_ = process_ms();
};

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

}  // namespace trellis::bench
