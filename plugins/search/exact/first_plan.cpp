#include "first_plan.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "reals.h"

namespace trellis::exact_search {
namespace {

class StagePlan {
 public:
  StagePlan(const Task& task, int stage, int first, int last)
      : task_(task), stage_(stage), first_(first), last_(last), of_kind_(task.kinds().size(), 0) {}

  // Kind by kind, twice: what is best for one depends on what the others leave.
  std::vector<int> options() {
    std::vector<int> kinds;
    for (int i = first_; i <= last_; ++i)
      if (std::ranges::count(kinds, task_.kind_number(i)) == 0) kinds.push_back(task_.kind_number(i));
    for (int pass = 0; pass < (kinds.size() > 1 ? 2 : 1); ++pass)
      for (const int k : kinds) choose(static_cast<std::size_t>(k));
    std::vector<int> all;
    for (int i = first_; i <= last_; ++i) all.push_back(at(i));
    return all;
  }

 private:
  // What does not fit, then the time.
  using Worth = std::pair<std::int64_t, double>;

  int at(int layer) const { return of_kind_[static_cast<std::size_t>(task_.kind_number(layer))]; }

  void choose(std::size_t kind) {
    std::pair<Worth, int> best{{std::numeric_limits<std::int64_t>::max(), kInfinite}, 0};
    for (int o = 0; o < static_cast<int>(task_.kinds()[kind].options.size()); ++o) {
      of_kind_[kind] = o;
      best = std::min(best, {worth(), o});
    }
    of_kind_[kind] = best.second;
  }

  Worth worth() const {
    StageSum sum;
    for (int i = first_; i <= last_; ++i) {
      if (i == first_) sum.push(task_.cost(i, at(i), stage_), nullptr, nullptr, task_.slowdown());
      else
        sum.push(task_.cost(i, at(i), stage_), &task_.cost(i - 1, at(i - 1), stage_),
                 &task_.edge(i - 1, at(i - 1), at(i), stage_), task_.slowdown());
    }
    const bool goes_on = stage_ + 1 < task_.stages() && task_.kind_number(last_) == task_.kind_number(last_ + 1);
    const EdgeCost* edge = goes_on ? &task_.stage_edge(last_, at(last_), at(last_), stage_) : nullptr;
    const StageTotal total = close(sum, task_.cost(last_, at(last_), stage_), edge, edge, task_.slowdown());
    const StageShape& shape = task_.stage(stage_);
    return {std::max<std::int64_t>(0, (total.memory(shape.in_flight) - shape.budget).value),
            (1 + shape.extra_forward) * real(total.forward) + (1 + shape.extra_backward) * real(total.backward) +
                real(total.update) + real(total.last_backward - total.backward)};
  }

  const Task& task_;
  const int stage_, first_, last_;
  std::vector<int> of_kind_;
};

}  // namespace

Choice first_plan(const Task& task, const std::vector<int>& ends) {
  Choice choice{.options = {}, .ends = ends};
  int first = 0;
  for (int s = 0; s < task.stages(); ++s) {
    const int last = ends[static_cast<std::size_t>(s)];
    const std::vector<int> options = StagePlan(task, s, first, last).options();
    choice.options.insert(choice.options.end(), options.begin(), options.end());
    first = last + 1;
  }
  return choice;
}

}  // namespace trellis::exact_search
