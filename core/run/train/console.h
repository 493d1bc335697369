// What a run tells people, on rank 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "run/data/run_samples.h"
#include "run/train/metrics.h"
#include "trellis/plan/export.h"

namespace trellis::train {

// Lines of steps to stdout; on a terminal also a line of progress on stderr, with the time left, that is overwritten.
class TRELLIS_API Console {
 public:
  Console(std::int64_t steps, std::int64_t log_every, bool quiet);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void say(const std::string& line);
  void step(const StepMetrics& metrics);
  void held_out(std::int64_t step, const Evaluation& evaluation);

 private:
  void clear_progress();
  void show_progress(std::int64_t step);

  std::int64_t steps_, log_every_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool quiet_, terminal_, header_ = false, progress_ = false;
};

// "1:05:09", "3:20"
TRELLIS_API std::string clock_time(double seconds);

// How a run ended: the loss against that of frequencies alone. `held_out` is nothing where nothing was held out.
TRELLIS_API std::string verdict(double last_loss, const std::optional<Evaluation>& held_out, const data::Baseline& base);

}  // namespace trellis::train
