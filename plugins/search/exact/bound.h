// A lower bound of what the layers that are left add to a step, for every way to go on: a shortest path backwards over
// (layer, stage, option), in which the step is replaced by a weighted sum of the stages' times and the budgets by
// prices (Lagrange multipliers). Costs of neighbors are exact in it.
#pragma once

#include <vector>

#include "task.h"

namespace trellis::exact_search {

// step >= sum over stages of (forward weight * forward + backward weight * backward) + update weight * update + sends.
struct Weights {
  std::vector<double> forward, backward;  // by stage
  std::vector<double> memory;             // by stage: picoseconds a byte
  double update = 1;
};
// All stages count alike; memory costs nothing.
Weights plain_weights(const Task&);
// The time of one micro-batch through all stages and nothing else.
Weights chain_weights(const Task&);

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
  Bound(const Task&, Weights, Stages = Stages::all, const std::vector<int>* ends = nullptr);

  const Weights& weights() const { return weights_; }
  // No plan's step is below this; infinite where the cut leaves no plan.
  double total() const { return total_; }
  // The path of the bound.
  Choice path() const;

  // What comes after layer `layer` of stage `stage` was pushed: its own segment, and all layers after it, with the
  // price of memory of this stage's further layers, and of later stages less their budgets. `gather` numbers
  // Task::gathers.
  double after(int layer, int stage, int gather, int option) const {
    const Kind& kind = task_.kind(layer);
    return table_[index(layer, stage, gather, kind.leaving.of[static_cast<std::size_t>(option)])];
  }
  // The steps of such a path: to a further layer of the stage, or to the next stage's first (`to` < 0: none is left);
  // and what the layer that is reached adds at once.
  double stay(int layer, int stage, int gather, int from, int to) const;
  double leave(int layer, int stage, int gather, int from, int to) const;
  double node(int layer, int stage, int option, bool first) const;

  // Of each class of options the least.
  static std::vector<double> least_of(const Kind::Classes&, const std::vector<double>& values);
  // The price of what a stage has left.
  double memory_price(int stage, Bytes left) const {
    return weights_.memory[static_cast<std::size_t>(stage)] * static_cast<double>(left.value);
  }

 private:
  std::size_t index(int layer, int stage, int gather, int leaving) const {
    return ((static_cast<std::size_t>(layer) * static_cast<std::size_t>(stages_) + static_cast<std::size_t>(stage)) *
                static_cast<std::size_t>(gathers_) +
            static_cast<std::size_t>(gather)) *
               static_cast<std::size_t>(classes_) +
           static_cast<std::size_t>(leaving);
  }
  int variant(int stage) const { return how_ == Stages::one ? Steps::kLeast : task_.stage(stage).variant; }
  bool possible(int layer, int stage) const;
  bool may_stay(int layer, int stage) const;
  bool may_leave(int layer, int stage) const;
  double node_of(int stage, const LayerCost&, bool first) const;
  double extra(int layer, int stage, int from) const;
  void fill(int layer, int stage);
  void stay_all(int layer, int stage, std::vector<double>& best) const;
  void leave_all(int layer, int stage, std::vector<double>& best) const;

  const Task& task_;
  const Weights weights_;
  const Stages how_;
  const std::vector<int>* ends_;
  int in_flight_ = 1;  // where the stages are one
  Bytes budget_{0};
  const int stages_, gathers_;
  int classes_ = 0;      // of `leaving`, the most of all kinds
  const double beyond_;  // slowdown beyond 1
  std::vector<double> table_;
  double total_ = 0;
};

}  // namespace trellis::exact_search
