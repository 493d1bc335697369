// The training loop of one rank.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "run/train/console.h"
#include "run/train/metrics.h"
#include "run/train/setup.h"
#include "trellis/plan/export.h"

namespace trellis::train {

struct HeldOut {
  std::int64_t after = 0;  // steps
  Evaluation evaluation;
};

// How a run went; the same on every rank but for the times.
struct History {
  std::vector<StepMetrics> steps;
  std::vector<HeldOut> held_out;
};

class TRELLIS_API Trainer {
 public:
  // All ranks make it together, and run() it once.
  Trainer(const TrainRequest& request, CommWorld& world);
  void run();
  const History& history() const { return history_; }

 private:
  bool tells() const { return world_.rank() == 0; }
  void open_folder();
  void introduce();
  StepMetrics step(std::int64_t number);
  void tell(const StepMetrics& metrics);
  void evaluate(std::int64_t after);
  Bytes measured_peak() const;
  std::vector<std::int64_t> of_all_ranks(std::int64_t value);
  void conclude();
  void leave_weights();

  const TrainRequest& request_;
  CommWorld& world_;
  Setup setup_;
  std::vector<Bytes> predicted_;  // per stage
  History history_;
  std::unique_ptr<Console> console_;        // rank 0
  std::unique_ptr<LineFile> metrics_file_;  // rank 0
};

}  // namespace trellis::train
