// The best plan of a problem by trying all there are: what searches are compared with.
#pragma once

#include <functional>
#include <optional>
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

// The best score of all plans there are.
inline std::optional<Score> by_trying_all(const Problem& problem, const CostOracle& oracle) {
  std::optional<Score> best;
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
            if (problem.fits(choice, cost.memory) && (!best || score(plan, cost) < *best)) best = score(plan, cost);
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
  return best;
}

}  // namespace trellis::test
