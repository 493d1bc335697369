// Bounds of a task and good plans of it, by pricing memory.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bound.h"
#include "lower_curve.h"
#include "task.h"

namespace trellis::exact_search {

struct Relaxed {
  double lower_bound = 0;                            // of plans that are better than what is known, picoseconds a step
  double certain = 0;                                // of every plan of the task
  std::vector<std::shared_ptr<const Bound>> bounds;  // the best ones, for label setting
  std::optional<Choice> best;                        // the best plan met that fits
  PlanValue value;
  Weights weights;              // without a price of memory, the best ones
  bool free_path_fits = false;  // the cheapest plans need no price of memory
  std::int64_t solved = 0;      // shortest paths
  // For whoever asks for other budgets, too: the bounds by the budget of all stages, and each plan that is met, whether it
  // fits or not.
  bool keeps_lines = false;
  std::vector<BoundLine> lines;
  MeetPlan met;
};

// `known`: a bound that reaches it ends the work, the task is of no interest then. First without a price of memory,
// which is quick; then the rest. A plan that is met counts as known from then on, unless all that are below `known` are of
// interest.
enum class Interest { best, all };
void relax_freely(const Task&, Picoseconds known, Relaxed&, Interest = Interest::best);
void relax(const Task&, Picoseconds known, Relaxed&, Interest = Interest::best);

}  // namespace trellis::exact_search
