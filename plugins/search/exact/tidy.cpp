#include "tidy.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "order.h"
#include "task.h"
#include "trellis/plan/cost.h"

namespace trellis::exact_search {
namespace {

SharedShapes shapes_of(const Problem& problem, const GlobalChoice& choice, const std::vector<int>& candidates) {
  std::vector<const Placement*> placements;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    placements.push_back(&problem.candidates(static_cast<int>(i), choice)[static_cast<std::size_t>(candidates[i])].placement);
  return shared_shapes(*problem.model, choice, placements);
}

// Layers first to last - 1.
struct Run {
  int first = 0, last = 0;
  int stage = 0;
  int size() const { return last - first; }
};

// Improves a plan of one task, a step at a time, the first that helps.
class Tidying {
 public:
  Tidying(const Task& task, Choice choice)
      : task_(task), choice_(std::move(choice)), value_(task.value(choice_)), strategies_(strategies_of(task)) {
    for (const auto& actions : task.actions()) work_of_one_ += static_cast<std::int64_t>(actions.size());
    work_of_one_ += task.layers();
    rank_ = rank(choice_, value_);
  }

  Choice run() {
    while (work_ < kMostWork && (change_options() || regroup() || move_borders())) {
    }
    return choice_;
  }
  bool fits() const { return value_.fits; }

 private:
  static constexpr std::int64_t kMostWork = 10'000'000;  // layers and actions of all plans tried; well under a second
  static constexpr std::size_t kMostOrdered = 4;         // options of a run, all of whose orders are tried

  int options(int layer) const { return static_cast<int>(task_.kind(layer).options.size()); }
  int at(int layer) const { return choice_.options[static_cast<std::size_t>(layer)]; }

  Rank rank(const Choice& choice, const PlanValue& value) const {
    Rank rank{.largest = value.largest, .ends = choice.ends};  // all plans here are of one choice
    int before = -1;
    for (int i = 0; i < task_.layers(); ++i) {
      const auto option = static_cast<std::size_t>(choice.options[static_cast<std::size_t>(i)]);
      const int strategy = strategies_[static_cast<std::size_t>(task_.kind_number(i))][option];
      rank.changes += i > 0 && strategy != before;
      before = strategy;
      rank.candidates.push_back(task_.kind(i).options[option].candidate);
    }
    return rank;
  }

  // Takes it if it is better. `stage` is where it differs.
  bool better(Choice other, int stage) {
    if (work_ >= kMostWork || other == choice_) return false;
    work_ += task_.layers();
    Rank mine = rank(other, value_);
    if (mine >= rank_ && !is_large(stage)) return false;
    work_ += work_of_one_;
    PlanValue value = task_.value(other);
    mine.largest = value.largest;
    if (!value.fits || value.step != value_.step || mine >= rank_) return false;
    choice_ = std::move(other), value_ = std::move(value), rank_ = std::move(mine);
    return true;
  }

  // It, or a neighbor with which it exchanges, is the largest: other stages can take what they like. What shares
  // parameters may be anywhere.
  bool is_large(int stage) const {
    if (!task_.shared().empty()) return true;
    for (int s = std::max(0, stage - 1); s <= std::min(task_.stages() - 1, stage + 1); ++s)
      if (value_.memory[static_cast<std::size_t>(s)] == value_.largest) return true;
    return false;
  }

  // Neighbors of one kind in one stage; with one option, if so asked.
  std::vector<Run> runs(bool of_one_option) const {
    std::vector<Run> found;
    for (int s = 0, first = 0; s < task_.stages(); ++s) {
      const int end = choice_.ends[static_cast<std::size_t>(s)];
      for (int i = first; i <= end; ++i) {
        const bool goes_on = i > first && task_.kind_number(i) == task_.kind_number(i - 1) &&
                             (!of_one_option || at(i) == at(i - 1));
        if (goes_on) ++found.back().last;
        else found.push_back({i, i + 1, s});
      }
      first = end + 1;
    }
    return found;
  }

  bool change_options() {
    const std::vector<Run> all = runs(true);
    std::vector<Run> ends, inner;
    for (const Run& run : all)
      for (int i = run.first; i < run.last && run.size() > 1; ++i)
        (i == run.first || i == run.last - 1 ? ends : inner).push_back({i, i + 1, run.stage});
    for (const std::vector<Run>& some : {all, runs(false), ends, inner})
      for (const Run& run : some)
        for (int option = 0; option < options(run.first); ++option)
          if (better(with(run, option), run.stage)) return true;
    return false;
  }

  Choice with(const Run& run, int option) const {
    Choice other = choice_;
    std::fill(other.options.begin() + run.first, other.options.begin() + run.last, option);
    return other;
  }

  bool regroup() {
    for (const Run& run : runs(false)) {
      if (order(run) || move_together(run)) return true;
    }
    return false;
  }

  // All layers of an option side by side.
  bool order(const Run& run) {
    std::map<int, int> count;  // by option, which are in the order of candidates
    for (int i = run.first; i < run.last; ++i) ++count[at(i)];
    if (count.size() < 2) return false;
    std::vector<int> order;
    for (const auto& [option, layers] : count) order.push_back(option);
    do {
      Choice other = choice_;
      auto place = other.options.begin() + run.first;
      for (const int option : order) place = std::fill_n(place, count[option], option);
      if (better(std::move(other), run.stage)) return true;
    } while (order.size() <= kMostOrdered && std::ranges::next_permutation(order).found);
    return false;
  }

  // Only two groups of an option.
  bool move_together(const Run& run) {
    std::vector<Run> groups = runs(true);
    std::erase_if(groups, [&](const Run& g) { return g.first < run.first || g.first >= run.last; });
    for (std::size_t a = 0; a < groups.size(); ++a)
      for (std::size_t b = a + 2; b < groups.size(); ++b) {
        if (at(groups[a].first) != at(groups[b].first)) continue;
        Choice down = choice_, up = choice_;
        const auto all = [](Choice& c) { return c.options.begin(); };
        std::rotate(all(down) + groups[a].last, all(down) + groups[b].first, all(down) + groups[b].last);
        std::rotate(all(up) + groups[a].first, all(up) + groups[a].last, all(up) + groups[b].first);
        if (better(std::move(down), run.stage) || better(std::move(up), run.stage)) return true;
      }
    return false;
  }

  // A layer to the next stage, as it is or as its new neighbor.
  bool move_borders() {
    for (int s = 0; s + 1 < task_.stages(); ++s) {
      const int end = choice_.ends[static_cast<std::size_t>(s)];
      const int before = s > 0 ? choice_.ends[static_cast<std::size_t>(s - 1)] : -1;
      const int after = choice_.ends[static_cast<std::size_t>(s + 1)];
      if (end - 1 > before && (move_border(s, end - 1, end, end + 1))) return true;
      if (end + 1 < after && (move_border(s, end + 1, end + 1, end))) return true;
    }
    return false;
  }
  bool move_border(int stage, int end, int layer, int neighbor) {
    Choice other = choice_;
    other.ends[static_cast<std::size_t>(stage)] = end;
    if (better(other, stage)) return true;
    if (task_.kind_number(layer) != task_.kind_number(neighbor)) return false;
    other.options[static_cast<std::size_t>(layer)] = at(neighbor);
    return better(std::move(other), stage);
  }

  const Task& task_;
  Choice choice_;
  PlanValue value_;
  const std::vector<std::vector<int>> strategies_;
  Rank rank_;
  std::int64_t work_ = 0, work_of_one_ = 0;
};

// Within its choice.
Plan tidied_here(const Problem& problem, const CostOracle& oracle, const Plan& plan) {
  const GlobalChoice* choice = problem.find_choice(plan);
  if (!choice) return plan;
  const auto candidates = candidates_of(problem, *choice, plan);
  if (!candidates) return plan;
  const Task task(problem, oracle, *choice, shapes_of(problem, *choice, *candidates), Task::Keep::all);
  if (task.impossible()) return plan;
  Choice now;
  for (const StageRange& stage : plan.stages) now.ends.push_back(stage.last);
  for (int i = 0; i < task.layers(); ++i) {
    const std::vector<Option>& options = task.kind(i).options;
    const auto same = std::ranges::find(options, (*candidates)[static_cast<std::size_t>(i)], &Option::candidate);
    if (same == options.end()) return plan;
    now.options.push_back(static_cast<int>(same - options.begin()));
  }
  Tidying tidying(task, std::move(now));
  return tidying.fits() ? task.plan(tidying.run()) : plan;
}

// The same strategies under another schedule or order of atoms.
Plan of_best_choice(const Problem& problem, const CostOracle& oracle, const Plan& plan) {
  constexpr int kMostChoices = 16;
  const PlanCost cost = oracle.step(plan);
  std::optional<Rank> best = rank_of(problem, plan, cost.memory);
  if (!best) return plan;
  Plan result = plan;
  int tried = 0;
  for (const GlobalChoice& choice : problem.choices) {
    if (choice.batch != plan.batch || choice.micro_batches != plan.micro_batches || choice == choice_of(plan) ||
        choice.stages != static_cast<int>(plan.stages.size()) || ++tried > kMostChoices)
      continue;
    Plan other = plan;
    other.atoms = choice.atoms, other.schedule = choice.schedule;
    const std::optional<PlanCost> other_cost = step_if_possible(oracle, other);
    if (!other_cost || other_cost->step != cost.step || !problem.fits(choice, other_cost->memory)) continue;
    std::optional<Rank> rank = rank_of(problem, other, other_cost->memory);
    if (!rank || *rank >= *best) continue;
    best = std::move(rank), result = std::move(other);
  }
  return result;
}

}  // namespace

Plan tidied(const Problem& problem, const CostOracle& oracle, const Plan& plan) {
  const Plan here = tidied_here(problem, oracle, plan);
  const Plan there = of_best_choice(problem, oracle, here);
  return choice_of(there) == choice_of(here) ? here : tidied_here(problem, oracle, there);
}

}  // namespace trellis::exact_search
