#include "plan/whatif/plan_pool.h"

#include <algorithm>

namespace trellis {

void PlanPool::add_neighbors(const Plan& plan, Bytes budget) {
  Problem problem = problem_;
  problem.budget = budget;
  for (auto& [other, cost] : one_layer_changes(problem, oracle_, plan)) {
    const Score score{cost.step, other.batch};
    const Bytes memory = *std::ranges::max_element(cost.memory);
    plans_.push_back({std::move(other), std::move(cost), score, memory});
  }
  prune();
}

void PlanPool::add(Plan plan, const PlanCost& cost) {
  const Score score{cost.step, plan.batch};
  plans_.push_back({std::move(plan), cost, score, *std::ranges::max_element(cost.memory)});
  prune();
}

std::optional<Plan> PlanPool::best(Bytes budget) const {
  const Known* known = fastest(budget);
  return known ? std::optional(known->plan) : std::nullopt;
}

const PlanPool::Known* PlanPool::fastest(Bytes budget) const {
  const auto found = std::ranges::find_if(plans_, [&](const Known& known) { return known.memory <= budget; });
  return found == plans_.end() ? nullptr : &*found;
}

const PlanPool::Known* PlanPool::smallest_faster(const Score& score) const {
  const Known* smallest = nullptr;
  for (const Known& known : plans_)
    if (known.score < score && (!smallest || known.memory < smallest->memory)) smallest = &known;
  return smallest;
}

void PlanPool::prune() {
  std::ranges::stable_sort(plans_, [](const Known& a, const Known& b) {
    return a.score != b.score ? a.score < b.score : a.memory < b.memory;
  });
  std::vector<Known> kept;
  for (Known& known : plans_)
    if (kept.empty() || known.memory < kept.back().memory) kept.push_back(std::move(known));
  plans_ = std::move(kept);
}

FrontPoint point_of_front(Bytes asked, Answer answer) {
  const Bytes needs = answer.memory();
  return {.asked = asked, .needs = needs, .answer = std::move(answer)};
}

Answer solve_at(Problem problem, const Solver& solver, Bytes budget, std::optional<Plan> start) {
  problem.budget = budget;
  problem.start = std::move(start);
  return solver(problem);
}

}  // namespace trellis
