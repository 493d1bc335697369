// Label setting: partial plans, layer by layer, of which those are dropped that another one with the same future is
// nowhere worse than, or whose bound says that they end no better than the best plan known.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "bound.h"
#include "may_have.h"
#include "task.h"
#include "tie_order.h"
#include "trail.h"

namespace trellis::exact_search {

struct LabelLimit {
  std::int64_t labels = 0;  // to make at the most; further ones are dropped by their bounds
  std::function<bool()> out_of_time = [] { return false; };
  // A sketch: only plans of these options are looked for, and labels with one future are told apart by little more than
  // the memory that they have left. Meets good plans soon and proves nothing.
  const MayHave* sketch = nullptr;
  bool whole = false;  // all or nothing: ends where it would have to leave something out
  MeetPlan met = nullptr;  // each plan that is looked at in the end
  // Of the best plans that are no more than `known`, the first one by this.
  const TieOrder* order = nullptr;
};

struct LabelResult {
  std::optional<Choice> best;  // it fits
  PlanValue value;
  double lower_bound = 0;  // of plans that were left out and may be less than `known`; infinite: none; 0 of a sketch
  Measure least;           // no plan of the task is less, where nothing was left out
  Trail trail;             // of its plans that have this measure
  std::int64_t labels = 0, dominated = 0, bounded = 0;
};

// Only plans that are less than `known` are looked for, or that are no more.
LabelResult search_labels(const Task&, const std::vector<const Bound*>&, const Measure& known, const LabelLimit&);

}  // namespace trellis::exact_search
