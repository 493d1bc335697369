#include "improve.h"

#include <algorithm>
#include <utility>

namespace trellis::exact_search {
namespace {

constexpr std::int64_t kWork = 4'000'000;  // actions that are replayed, and layers summed

std::int64_t actions_of(const Task& task) {
  std::int64_t count = task.layers();
  for (const auto& stage : task.actions()) count += static_cast<std::int64_t>(stage.size());
  return count;
}

class Improvement {
 public:
  Improvement(const Task& task, Choice& choice, PlanValue& value, MeetPlan met = nullptr)
      : task_(task), choice_(choice), value_(value), met_(std::move(met)), tries_(kWork / actions_of(task)) {}

  void run() {
    for (Picoseconds before{0}; before != value_.step && tries_ > 0;) {
      before = value_.step;
      for (int s = 0; s < task_.stages(); ++s) {
        for (int first = first_of(s); first <= last_of(s);) first = change_run(first, last_of(s));
        if (s + 1 < task_.stages()) move_border(s);
      }
    }
  }

 private:
  int last_of(int stage) const { return choice_.ends[static_cast<std::size_t>(stage)]; }
  int first_of(int stage) const { return stage == 0 ? 0 : last_of(stage - 1) + 1; }

  bool take(const Choice& other) {
    --tries_;
    PlanValue value = task_.value(other);
    if (met_) return met_(other, value), false;
    if (!value.fits || value.step >= value_.step) return false;
    choice_ = other, value_ = std::move(value);
    return true;
  }

  // The layers from the first one on that have the same candidates. Returns the first layer behind them.
  int change_run(int first, int last) {
    int end = first;
    while (end <= last && task_.kind_number(end) == task_.kind_number(first)) ++end;
    for (int option = 0; option < static_cast<int>(task_.kind(first).options.size()) && tries_ > 0; ++option)
      for (int count = end - first; count > 0; count /= 2) {
        set(first, count, option);
        if (count < end - first) set(end - count, count, option);
      }
    return end;
  }
  void set(int first, int count, int option) {
    Choice other = choice_;
    std::fill_n(other.options.begin() + first, count, option);
    if (other.options != choice_.options) take(other);
  }

  // The layer that changes its stage takes its new neighbor's option where it can.
  void move_border(int stage) {
    for (const int by : {-1, 1}) {
      Choice other = choice_;
      int& end = other.ends[static_cast<std::size_t>(stage)];
      end += by;
      if (end < first_of(stage) || end >= last_of(stage + 1)) continue;
      const int moved = by > 0 ? end : end + 1, beside = by > 0 ? moved - 1 : moved + 1;
      if (task_.kind_number(moved) == task_.kind_number(beside))
        other.options[static_cast<std::size_t>(moved)] = other.options[static_cast<std::size_t>(beside)];
      take(other);
    }
  }

  const Task& task_;
  Choice& choice_;
  PlanValue& value_;
  const MeetPlan met_;
  std::int64_t tries_;
};

}  // namespace

void improve(const Task& task, Choice& choice, PlanValue& value) {
  Improvement(task, choice, value).run();
}

void meet_neighbors(const Task& task, Choice choice, const MeetPlan& met) {
  PlanValue value = task.value(choice);
  Improvement(task, choice, value, met).run();
}

}  // namespace trellis::exact_search
