// A lower bound of what the layers that are left add to a step, for every way to go on: a shortest path backwards over
// (layer, stage, option), in which the step is replaced by a weighted sum of the stages' times and the budgets by
// prices (Lagrange multipliers).
#pragma once

#include <vector>

#include "stage_walk.h"
#include "task.h"

namespace trellis::exact_search {

// step >= sum over stages of (forward weight * forward + backward weight * backward) + update weight * update + sends.
using Weights = std::vector<StageWeights>;  // by stage
// All stages count alike; memory costs nothing.
Weights plain_weights(const Task&);
// The time of one micro-batch through all stages and nothing else.
Weights chain_weights(const Task&);

// Reductions of the first stage end the step. Either they go on beside its last backward, which they slow, and the last
// one follows it; or they take longer than backward and are what the step waits for, from its last layer's on.
void reduce_beside(const Task&, StageWeights& first_stage);
void reduce_alone(const Task&, StageWeights& first_stage);  // in the place of reduce_beside()

// As if no layer had neighbors: quick, and enough for what is far from the best.
double additive_bound(const Task&);

// How the stages of a pipeline stand in a bound.
enum class Stages {
  all,    // every cut
  given,  // one cut
  one,    // as if all layers were in one stage with the least weights and what all stages have: quick, and still below
};

class Bound {
 public:
  Bound(const Task&, const Weights&, Stages = Stages::all, const std::vector<int>* ends = nullptr);

  int stages() const { return static_cast<int>(stages_.size()); }  // 1 of Stages::one
  Weights weights() const;
  // That a stage's times and memory have.
  const StageWalk& stage(int s) const { return stages_[static_cast<std::size_t>(s)]; }
  // How many layers of the stage follow, where that is known; prices of memory are at last layers where it is not.
  int depth(int layer, int stage) const;
  // No plan's step is below this; infinite where the cut leaves no plan.
  double total() const { return total_; }
  // The path of the bound.
  Choice path() const;

  // What comes after layer `layer` of stage `stage` was pushed: its own segment, and all layers after it, with the
  // price of memory of this stage's further layers, and of later stages less their budgets. `gather` numbers
  // Task::gathers.
  double after(int layer, int stage, int gather, int option) const {
    return this->stage(stage).value(values(layer, stage), layer, gather, option);
  }

 private:
  const StageWalk::Values& values(int layer, int stage) const {
    return table_[static_cast<std::size_t>(layer) * stages_.size() + static_cast<std::size_t>(stage)];
  }
  bool possible(int layer, int stage) const;
  bool may_stay(int layer, int stage) const;
  bool may_leave(int layer, int stage) const;
  StageWalk::Values fill(int layer, int stage) const;

  const Task& task_;
  const Stages how_;
  const std::vector<int>* ends_;
  std::vector<StageWalk> stages_;
  std::vector<StageWalk::Values> table_;  // [layer * stages + stage]
  double total_ = 0;
};

}  // namespace trellis::exact_search
