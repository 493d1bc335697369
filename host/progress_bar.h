// A bar on stderr that says how far a long verb is. Nothing where stderr is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace trellis::host {

class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();  // leaves an empty line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::int64_t done, std::int64_t total);  // in bytes; draws ten times a second at most

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool on_, drawn_ = false;
  Clock::time_point start_, last_;
};

// "[=====>    ]  52 %   118 of 227 MB   9.4 MB/s   12 s left"; `seconds` since the start.
std::string progress_line(std::int64_t done, std::int64_t total, double seconds);

}  // namespace trellis::host
