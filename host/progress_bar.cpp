#include "host/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace trellis::host {
namespace {

constexpr int kWidth = 30;  // characters of the bar
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

std::string progress_line(std::int64_t done, std::int64_t total, double seconds) {
  const double share = total > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 1.0;
  const int filled = static_cast<int>(share * kWidth);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '=') + (filled < kWidth ? ">" : "");
  const double speed = seconds > 0 ? static_cast<double>(done) / 1e6 / seconds : 0;
  std::string line = fmt::format("[{:<{}}] {:3.0f} %   {:.1f} of {:.1f} MB   {:.1f} MB/s", bar, kWidth, 100 * share,
                                 static_cast<double>(done) / 1e6, static_cast<double>(total) / 1e6, speed);
  if (speed > 0 && done < total)
    line += fmt::format("   {:.0f} s left", static_cast<double>(total - done) / 1e6 / speed);
  return line;
}

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)), on_(::isatty(STDERR_FILENO) == 1), start_(Clock::now()), last_(start_) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::show(std::int64_t done, std::int64_t total) {
  const Clock::time_point now = Clock::now();
  if (!on_ || (drawn_ && now - last_ < kPause)) return;
  drawn_ = true;
  last_ = now;
  fmt::print(stderr, "\r{} {}\033[K", what_,
             progress_line(done, total, std::chrono::duration<double>(now - start_).count()));
  std::fflush(stderr);
}

}  // namespace trellis::host
