// Runs the update list of a stage: what happens once a step after the last micro-batch.
#pragma once

#include <vector>

#include "run/executor/stage_runner.h"
#include "run/optimizer/optimizer.h"

namespace trellis {

class UpdateRunner {
 public:
  UpdateRunner(const StageProgram&, CommWorld&, ParameterStore&, StageRunner&, const Optimizer&, int line_rank,
               int base_of_first_stage, OptimizerOptions, at::TensorOptions device);

  // `loss` is this rank's part; the result is the whole batch's. `updates` counts from 1 (Adam's bias correction).
  StepResult run(double loss, double learning_rate, std::int64_t updates, bool keep_gradients);

 private:
  struct PreparedTie {
    std::vector<PreparedMove> gradient, parameter;   // on the line of this rank, empty where it is not concerned
    Comm* to_owner = nullptr;                        // between the two stages; none where they are one
    Comm* to_use = nullptr;
  };
  void norm(double loss, StepResult&, bool keep_gradients);
  void add_squares(const at::Tensor& total) const;
  void adamw(BucketId, double learning_rate, std::int64_t updates);
  void gather_start(BucketId);
  void tie_gradient(int);
  void tie_parameter(int);
  void add_to_owner(const Tie&, const at::Tensor& gradient);
  at::Tensor whole_gradient(BucketId) const;
  at::Tensor whole_parameter(BucketId) const;

  const StageProgram& stage_;
  CommWorld& world_;
  ParameterStore& store_;
  StageRunner& passes_;
  const Optimizer& optimizer_;
  int rank_;
  OptimizerOptions options_;
  at::TensorOptions device_;
  std::vector<PreparedTie> ties_;
  std::map<BucketId, Flight> gathers_;
  double clip_factor_ = 1;
};

}  // namespace trellis
