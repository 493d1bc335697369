// The layers of one stage from its last one backwards, in which the step is replaced by a weighted sum of the stage's
// times and its budget by a price (a Lagrange multiplier). Costs of neighbors are exact in it.
#pragma once

#include <vector>

#include "memory_price.h"
#include "reals.h"
#include "task.h"

namespace trellis::exact_search {

struct StageWeights {
  double forward = 1, backward = 1, update = 0;
  double reduce = 0;  // of what is reduced in the last micro-batch
  double late = 0;    // of what its last reduction takes longer than the others, which the stage ends with
  double last = 0;    // of the last layer's backward, beside `backward`
  MemoryPrice memory;
};

class StageWalk {
 public:
  // What is left of the stage after a layer was pushed, by the level of the gather of the layer before and the layer's
  // own option: [gather * leaving classes + class].
  using Values = std::vector<double>;

  StageWalk(const Task&, int stage, const StageWeights&);
  // As if all layers were in one stage: it has what all stages have, and no option costs more than in any of them.
  static StageWalk over_all(const Task&, const StageWeights&);

  const StageWeights& weights() const { return weights_; }

  // `depth`: how many layers of the stage follow (MemoryPrice).
  // What pushing a layer adds at once.
  double node(int layer, int depth, int option, bool first) const;
  // A step to a further layer of the stage, or out of it (`to` < 0: none is left).
  double stay(int layer, int depth, int gather, int from, int to) const;
  double leave(int layer, int gather, int from, int to) const;

  // All infinite.
  Values nothing(int layer) const;
  // Each takes the least of what is there and of one way to go on: the model ends; the next stage begins, of which
  // `ahead` tells the costs by class of `beginning`; a further layer, of which `next` tells them.
  void end(int layer, Values&) const;
  void leave_all(int layer, const std::vector<double>& ahead, Values&) const;
  void stay_all(int layer, int depth, const Values& next, Values&) const;

  double value(const Values& values, int layer, int gather, int option) const {
    const Kind::Classes& classes = task_.kind(layer).leaving;
    return values[static_cast<std::size_t>(gather) * classes.first.size() +
                  static_cast<std::size_t>(classes.of[static_cast<std::size_t>(option)])];
  }
  // The least of all options with which the stage can begin at this layer.
  double begin(int layer, int depth, const Values&) const;
  // The same by class of `beginning`.
  std::vector<double> begins(int layer, int depth, const Values&) const;

  // What the budget is worth.
  double budget() const { return weights_.memory.total() * real(budget_); }

  // Of each class of options the least.
  static std::vector<double> least_of(const Kind::Classes&, const std::vector<double>& values);

 private:
  double node_of(const LayerCost&, int depth, bool first) const;
  double peak(const PeakTable&, std::size_t at, double gathered, int depth) const;
  void add_peaks(const PeakTable&, std::size_t row, double gathered, int depth, std::vector<double>& ahead) const;
  const LeaveTable& leave_table(int layer) const { return task_.steps().leave(layer, stage_, variant_); }

  const Task& task_;
  int stage_, variant_, in_flight_;
  Bytes budget_{0};
  StageWeights weights_;
  bool all_ = false;  // over_all()
};

}  // namespace trellis::exact_search
