// Label setting: partial plans, layer by layer, of which those are dropped that another one with the same future is
// nowhere worse than, or whose bound says that they end no better than the best plan known.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "bound.h"
#include "task.h"

namespace trellis::exact_search {

// Options that plans may have: [kind][option].
using MayHave = std::vector<std::vector<bool>>;

struct LabelLimit {
  std::int64_t labels = 0;  // to make at the most; further ones are dropped by their bounds
  std::function<bool()> out_of_time = [] { return false; };
  // A sketch: only plans of these options are looked for, and labels with one future are told apart by little more than
  // the memory that they have left. Meets good plans soon and proves nothing.
  const MayHave* sketch = nullptr;
};

struct LabelResult {
  std::optional<Choice> best;  // better than `known`, and fits
  PlanValue value;
  double lower_bound = 0;  // of the task's plans that are better than `known`; infinite where there is none, 0 of a sketch
  std::int64_t labels = 0, dominated = 0, bounded = 0;
};

// `known`: only plans with a shorter step are looked for.
LabelResult search_labels(const Task&, const std::vector<const Bound*>&, Picoseconds known, const LabelLimit&);

}  // namespace trellis::exact_search
