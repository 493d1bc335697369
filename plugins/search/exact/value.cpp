// What a whole plan of a task costs, and the plan itself.
#include <algorithm>

#include "task.h"

namespace trellis::exact_search {

// The same sums as composed_step(), with costs that are at hand.
PlanValue Task::value(const Choice& choice) const {
  std::vector<StageTotal> totals;
  std::vector<int> stage_of;
  int first = 0;
  for (int s = 0; s < stages(); ++s) {
    const int end = choice.ends[static_cast<std::size_t>(s)];
    const auto option = [&](int i) { return choice.options[static_cast<std::size_t>(i)]; };
    StageSum sum;
    for (int i = first; i <= end; ++i) {
      stage_of.push_back(s);
      if (i == first) sum.push(cost(i, option(i), s), nullptr, nullptr, slowdown_);
      else
        sum.push(cost(i, option(i), s), &cost(i - 1, option(i - 1), s), &edge(i - 1, option(i - 1), option(i), s),
                 slowdown_);
    }
    const EdgeCost* leaving = s + 1 < stages() ? &stage_edge(end, option(end), option(end + 1), s) : nullptr;
    const EdgeCost* arriving = s > 0 ? &stage_edge(first - 1, option(first - 1), option(first), s - 1) : nullptr;
    totals.push_back(close(sum, cost(end, option(end), s), leaving, arriving, slowdown_));
    first = end + 1;
  }
  std::vector<TieCost> ties;
  std::vector<Bytes> tie_bytes(totals.size());
  for (std::size_t p = 0; p < shared_.size(); ++p) {
    const SharedLayers& pair = shared_[p];
    const auto owner = static_cast<std::size_t>(stage_of[static_cast<std::size_t>(pair.owner)]);
    const auto use = static_cast<std::size_t>(stage_of[static_cast<std::size_t>(pair.use)]);
    ties.push_back(tie(p, choice.options[static_cast<std::size_t>(pair.owner)],
                       choice.options[static_cast<std::size_t>(pair.use)], owner == use));
    totals[use].share(ties.back());
    for (const std::size_t s : {owner, use}) tie_bytes[s] = std::max(tie_bytes[s], ties.back().bytes);
  }
  PlanValue value;
  value.step = step_time(totals, actions_, ties, overhead_);
  value.fits = true;
  for (std::size_t s = 0; s < totals.size(); ++s) {
    const StageShape& shape = stages_[s];
    value.memory.push_back(std::max(totals[s].memory(shape.in_flight), totals[s].states + tie_bytes[s]));
    value.largest = std::max(value.largest, value.memory.back());
    if (value.memory.back() > shape.budget) value.fits = false;
  }
  int multiples = 0;
  for (int i = 0; i < layers(); ++i)
    multiples = joined(multiples,
                       kind(i).options[static_cast<std::size_t>(choice.options[static_cast<std::size_t>(i)])].shapes);
  value.is_plan = has_shapes(multiples);
  value.fits = value.fits && value.is_plan;
  return value;
}

Plan Task::plan(const Choice& choice) const {
  Plan plan = plan_under(choice_);
  int first = 0;
  for (const int end : choice.ends) plan.stages.push_back({first, end}), first = end + 1;
  for (int i = 0; i < layers(); ++i)
    plan.layers.push_back(candidate(i, choice.options[static_cast<std::size_t>(i)]).strategy);
  return plan;
}

}  // namespace trellis::exact_search
