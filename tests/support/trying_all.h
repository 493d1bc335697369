// The best plan of a problem by trying all there are: what searches are compared with.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis::test {

using Cuts = std::vector<std::vector<StageRange>>;

inline Cuts all_cuts(int layers, int stages, int first = 0) {
  if (stages == 1) return {{{first, layers - 1}}};
  Cuts cuts;
  for (int last = first; last + stages <= layers; ++last)
    for (std::vector<StageRange>& rest : all_cuts(layers, stages - 1, last + 1)) {
      rest.insert(rest.begin(), {first, last});
      cuts.push_back(std::move(rest));
    }
  return cuts;
}

// Calls `take` with every plan that fits, its cost and its candidates.
template <class Take>
void for_all_plans(const Problem& problem, const CostOracle& oracle, Take&& take) {
  for (const GlobalChoice& choice : problem.choices) {
    Plan plan = plan_under(choice);
    plan.layers.resize(problem.model->layers.size());
    std::vector<const Candidate*> chosen(plan.layers.size());
    for (const auto& cut : all_cuts(static_cast<int>(plan.layers.size()), choice.stages)) {
      plan.stages = cut;
      const std::function<void(std::size_t)> go = [&](std::size_t i) {
        if (i == plan.layers.size()) {
          try {
            const PlanCost cost = composed_step(oracle, *problem.model, plan, chosen);
            if (problem.fits(choice, cost.memory)) take(plan, cost, chosen);
          } catch (const Error& error) {
            if (error.code() != ExitCode::infeasible) throw;
          }
          return;
        }
        for (const Candidate& c : problem.candidates(static_cast<int>(i), choice)) {
          plan.layers[i] = c.strategy, chosen[i] = &c;
          go(i + 1);
        }
      };
      go(0);
    }
  }
}

// The best score of all plans there are.
inline std::optional<Score> by_trying_all(const Problem& problem, const CostOracle& oracle) {
  std::optional<Score> best;
  for_all_plans(problem, oracle, [&](const Plan& plan, const PlanCost& cost, const std::vector<const Candidate*>&) {
    if (!best || score(plan, cost) < *best) best = score(plan, cost);
  });
  return best;
}

// What orders plans that take as long: the largest stage, the changes between neighbors, the choice, the candidates by
// layer, the last layers of the stages.
struct Precedence {
  Bytes largest{0};
  int changes = 0;
  std::int64_t choice = 0;
  std::vector<std::int64_t> candidates;
  std::vector<int> ends;
  auto operator<=>(const Precedence&) const = default;
};
inline Precedence precedence(const Problem& problem, const Plan& plan, const PlanCost& cost) {
  Precedence tie{.largest = *std::ranges::max_element(cost.memory)};
  tie.choice = problem.find_choice(plan) - problem.choices.data();
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    tie.changes += i > 0 && plan.layers[i] != plan.layers[i - 1];
    const std::vector<Candidate>& all = problem.candidates(static_cast<int>(i), *problem.find_choice(plan));
    tie.candidates.push_back(std::ranges::find(all, plan.layers[i], &Candidate::strategy) - all.begin());
  }
  for (const StageRange& stage : plan.stages) tie.ends.push_back(stage.last);
  return tie;
}

// Of the best plans the first one.
struct First {
  std::optional<Score> score;
  Precedence tie;
  int as_fast = 0;  // how many plans there are with this score
  std::set<std::size_t> stages;  // how many they have
};
inline First first_by_trying_all(const Problem& problem, const CostOracle& oracle) {
  First first;
  for_all_plans(problem, oracle, [&](const Plan& plan, const PlanCost& cost, const std::vector<const Candidate*>&) {
    const Score mine = score(plan, cost);
    if (first.score && mine > *first.score) return;
    Precedence tie = precedence(problem, plan, cost);
    if (!first.score || mine < *first.score) first = {.score = mine, .tie = tie, .as_fast = 0, .stages = {}};
    ++first.as_fast;
    first.stages.insert(plan.stages.size());
    if (tie < first.tie) first.tie = std::move(tie);
  });
  return first;
}

}  // namespace trellis::test
