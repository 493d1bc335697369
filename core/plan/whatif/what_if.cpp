// The runner-ups of a plan.
#include <fmt/format.h>

#include <algorithm>

#include "plan/whatif/placed_plan.h"
#include "trellis/plan/error.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

using Priced = std::pair<Plan, PlanCost>;

Score score_of(const Priced& priced) { return score(priced.first, priced.second); }

const Priced* fastest(const std::vector<Priced>& all) {
  const auto best =
      std::ranges::min_element(all, [](const Priced& a, const Priced& b) { return score_of(a) < score_of(b); });
  return best == all.end() ? nullptr : &*best;
}

class Asking {
 public:
  Asking(const Problem& problem, const CostOracle& oracle, const Solver& solver, const Plan& plan)
      : problem_(problem), oracle_(oracle), solver_(solver), plan_(plan) {}

  WhatIf run() {
    result_.cost = oracle_.step(plan_);
    result_.outside = objection(problem_, plan_, result_.cost);
    Problem same = problem_;
    if (result_.outside.empty()) same.start = plan_;
    result_.best = solver_(same);
    for (const StrategyGroup& group : strategy_groups(plan_, *problem_.model)) result_.groups.push_back(without(group));
    for (const std::string& dimension : dimensions_of_plan()) result_.dimensions.push_back(without(dimension));
    result_.other_choice = with_other_choice();
    result_.other_mix = with_other_mix();
    put_together();
    result_.price = price_of_memory(problem_, oracle_, solver_, result_.best);
    return std::move(result_);
  }

 private:
  // All equal layers: were it forbidden in those of the group only, they would change places with others.
  std::vector<int> layers_of(const StrategyGroup& group) const {
    std::vector<int> layers;
    for (std::size_t i = 0; i < problem_.model->layers.size(); ++i)
      if (problem_.model->layers[i].get() == group.type) layers.push_back(static_cast<int>(i));
    return layers;
  }

  GroupRunnerUp without(const StrategyGroup& group) {
    Problem other = without_strategy(problem_, oracle_, layers_of(group), group.strategy);
    if (const std::optional<Plan> replaced = replace(other, group)) other.start = replaced;
    return {group, solver_(other)};
  }

  std::vector<std::string> dimensions_of_plan() const {
    std::vector<std::string> names;
    if (plan_.stages.size() > 1) names.push_back("pp");
    for (const Strategy& strategy : plan_.layers)
      for (const auto& [name, setting] : strategy)
        if (setting.on() && std::ranges::count(names, name) == 0) names.push_back(name);
    return names;
  }

  DimensionRunnerUp without(const std::string& dimension) {
    Problem other = without_dimension(problem_, oracle_, dimension);
    other.start.reset();
    consider(other, result_.best);
    for (const GroupRunnerUp& group : result_.groups) consider(other, group.answer);
    for (const DimensionRunnerUp& known : result_.dimensions) consider(other, known.answer);
    return {dimension, solver_(other)};
  }

  // The plan with one other strategy in all layers of the group, the best one.
  std::optional<Plan> replace(const Problem& other, const StrategyGroup& group) const {
    const GlobalChoice choice = choice_of(plan_);
    if (!result_.outside.empty() || !other.find_choice(plan_)) return std::nullopt;
    std::vector<Priced> all;
    for (const Candidate& c : other.candidates(group.layers.front(), choice)) {
      Plan plan = plan_;
      for (const int layer : group.layers) plan.layers[static_cast<std::size_t>(layer)] = c.strategy;
      const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
      if (cost && objection(other, plan, *cost).empty()) all.emplace_back(std::move(plan), *cost);
    }
    const Priced* best = fastest(all);
    return best ? std::optional(best->first) : std::nullopt;
  }

  Answer with_other_choice() {
    Problem other = problem_;
    std::erase(other.choices, choice_of(plan_));
    other.start.reset();
    for (const GroupRunnerUp& group : result_.groups) consider(other, group.answer);
    consider(other, result_.best);
    others_ = other;
    return solver_(other);
  }

  // As a start, if it is one and better than what is there.
  void consider(Problem& problem, const Answer& answer) const {
    if (!answer.plan || !objection(problem, *answer.plan, answer.cost).empty()) return;
    if (problem.start && score(*problem.start, oracle_.step(*problem.start)) <= answer.score()) return;
    problem.start = answer.plan;
  }

  Answer with_other_mix() {
    Problem own = problem_;
    own.choices = {choice_of(plan_)};
    Answer best;
    best.log.status = "infeasible, proven";
    if (!problem_.find_choice(plan_) || !result_.outside.empty()) {
      best.log.status = "not asked: the plan is not in the space";
      return best;
    }
    const std::vector<Priced> changes = one_layer_changes(own, oracle_, plan_);
    if (const Priced* change = fastest(changes)) best.plan = change->first, best.cost = change->second;
    for (const GroupRunnerUp& group : result_.groups) take_mix(group.answer, best);
    take_mix(result_.best, best);
    const bool is_exact = one_strategy_a_type() ? ask_layer_by_layer(own, changes, best) : false;
    if (is_exact) best.log.status = best.plan ? "optimal, proven" : "infeasible, proven";
    if (best.plan) best.reached = to_seconds(best.cost.step);
    if (!is_exact) certify(own, best);
    else if (plan_.stages.size() == 1) own_bound_ = least_of_own(best);  // there are no other cuts
    return best;
  }

  void take_mix(const Answer& answer, Answer& best) const {
    if (!answer.plan || choice_of(plan_) != choice_of(*answer.plan)) return;
    if (same_mix(plan_, *answer.plan, *problem_.model)) return;
    if (!best.plan || answer.score() < best.score()) best.plan = answer.plan, best.cost = answer.cost;
  }

  bool one_strategy_a_type() const {
    std::vector<const LayerSpec*> seen;
    for (const StrategyGroup& group : strategy_groups(plan_, *problem_.model)) {
      if (std::ranges::count(seen, group.type) > 0) return false;
      seen.push_back(group.type);
    }
    return true;
  }

  // Where all layers of a type have one strategy, another multiset is one in which some layer lacks it. Whether all
  // could be asked, and were proven.
  bool ask_layer_by_layer(const Problem& own, const std::vector<Priced>& changes, Answer& best) const {
    double seconds = 0;
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      if (seconds > kMostSeconds) return false;
      Problem other = without_strategy(own, oracle_, {static_cast<int>(i)}, plan_.layers[i]);
      if (other.choices.empty()) continue;
      other.start.reset();
      std::vector<Priced> here;
      std::ranges::copy_if(changes, std::back_inserter(here),
                           [&](const Priced& p) { return p.first.layers[i] != plan_.layers[i]; });
      if (const Priced* start = fastest(here)) other.start = start->first;
      const Answer answer = solver_(other);
      seconds += answer.seconds;
      take_mix(answer, best);
      best.seconds += answer.seconds;
      if (!answer.is_proven()) return false;
    }
    return true;
  }

  // No plan of this choice is better than its optimum, whatever its mix.
  void certify(const Problem& own, Answer& best) {
    Problem same = own;
    same.start = plan_;
    const Answer optimum = solver_(same);
    take_mix(optimum, best);
    best.seconds += optimum.seconds;
    best.log.lower_bound = optimum.log.lower_bound;
    if (optimum.log.lower_bound) own_bound_ = *optimum.log.lower_bound / static_cast<double>(plan_.batch);
    if (best.plan) best.reached = to_seconds(best.cost.step);
    state(best);
  }

  // Seconds a sample of the plan itself, or of the best one with another mix.
  double least_of_own(const Answer& other_mix) const {
    const double here = score(plan_, result_.cost).seconds_per_sample();
    return other_mix.plan ? std::min(here, other_mix.score().seconds_per_sample()) : here;
  }

  // What is proven of a plan, by its bound.
  static void state(Answer& answer) {
    const double bound = answer.log.lower_bound.value_or(0);
    const double gap = answer.plan && bound > 0 ? answer.reached / bound - 1 : 0;
    if (!answer.plan) answer.log.status = "nothing found";
    else if (bound <= 0) answer.log.status = "feasible";
    else if (gap <= kRounding) answer.log.status = "optimal, proven";
    else answer.log.status = fmt::format("within {:.2g} %, proven", 100 * gap);
  }

  // Whether bounds of the problem are of seconds a sample, not of a step.
  static bool is_by_sample(const Problem& problem) {
    return std::ranges::any_of(problem.choices,
                               [&](const GlobalChoice& c) { return c.batch != problem.choices.front().batch; });
  }

  // Every answer is a plan of the space; the plans of its own choice and those of all others are the whole space.
  void put_together() {
    Answer& best = result_.best;
    bool is_other = false;
    const auto take = [&](const Answer& answer) {
      if (!answer.plan || (best.plan && answer.score() >= best.score())) return;
      if (!objection(problem_, *answer.plan, answer.cost).empty()) return;
      best.plan = answer.plan, best.cost = answer.cost, is_other = true;
    };
    for (const GroupRunnerUp& group : result_.groups) take(group.answer);
    for (const DimensionRunnerUp& without : result_.dimensions) take(without.answer);
    take(result_.other_choice);
    take(result_.other_mix);
    const bool raised = raise_bound(best);
    if (!best.plan || !(is_other || raised)) return;
    best.reached = is_by_sample(problem_) ? best.score().seconds_per_sample() : to_seconds(best.cost.step);
    if (best.log.lower_bound) best.log.lower_bound = std::min(*best.log.lower_bound, best.reached);  // rounding
    state(best);
  }

  // In seconds a sample. Nothing but plans of the own choice is left where the others are proven to have none.
  std::optional<double> bound_of_others() const {
    const Answer& other = result_.other_choice;
    if (!other.plan && other.is_proven()) return own_bound_;
    if (!own_bound_ || !other.log.lower_bound || others_.choices.empty()) return std::nullopt;
    const double samples = is_by_sample(others_) ? 1 : static_cast<double>(others_.choices.front().batch);
    return std::min(*own_bound_, *other.log.lower_bound / samples);
  }

  bool raise_bound(Answer& best) const {
    const std::optional<double> bound = bound_of_others();
    if (!bound) return false;
    const double whole =
        *bound * (is_by_sample(problem_) ? 1 : static_cast<double>(problem_.choices.front().batch));
    if (best.log.lower_bound && *best.log.lower_bound >= whole) return false;
    best.log.lower_bound = whole;
    return true;
  }

  static constexpr double kMostSeconds = 5;
  static constexpr double kRounding = 1e-12;  // of a bound in seconds

  const Problem& problem_;
  const CostOracle& oracle_;
  const Solver& solver_;
  const Plan& plan_;
  WhatIf result_;
  Problem others_;                   // without the plan's choice
  std::optional<double> own_bound_;  // of plans of the plan's choice, in seconds a sample
};

}  // namespace

WhatIf what_if(const Problem& problem, const CostOracle& oracle, const Solver& solver, const Plan& plan) {
  return Asking(problem, oracle, solver, plan).run();
}

}  // namespace trellis
