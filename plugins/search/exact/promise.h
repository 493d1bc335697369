// What a partial plan may still lead to, in the terms of bounds: what it has behind it, and what a step to a further
// layer and all that follows cost at the least.
#pragma once

#include <vector>

#include "bound.h"
#include "dominance.h"
#include "task.h"

namespace trellis::exact_search {

class Promise {
 public:
  // `done`: the stages that labels have behind them.
  Promise(const Task& task, const std::vector<const Bound*>& bounds, const std::vector<Done>& done)
      : task_(task), bounds_(bounds), done_(done) {}

  // What a label has behind it: weighted times, less the price of the memory that its stage has left.
  double spent(const Label&, int layer, int stage, const Bound&) const;
  // Of that, what its memory costs.
  double memory(const Label&, int layer, int stage, const Bound&) const;

  // What a step's end adds and all after it, by bound: [gather of the step's begin][option], and the least of each
  // class of options that the step itself cannot tell apart.
  struct Ends {
    std::vector<std::vector<std::vector<double>>> values, least;
    const Kind::Classes* classes = nullptr;
    std::vector<std::vector<int>> members;  // of each class, those that plans may have
  };
  // Of steps into `layer` as a layer of the stage, its first one or not. `may_have`: by option.
  Ends ends(int layer, int stage, bool first, const std::vector<bool>& may_have) const;

 private:
  const Task& task_;
  const std::vector<const Bound*>& bounds_;
  const std::vector<Done>& done_;
};

}  // namespace trellis::exact_search
