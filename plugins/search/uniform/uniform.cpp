// The simplest search that is of use: one strategy for all layers, the best of them under every global choice.
//
// A search gets a Problem (the model, the choices that hold for a whole plan, each layer's candidates, the budget) and
// an oracle that says what a plan costs. It returns a plan, or nothing where none fits. It never looks at hardware,
// tensors or ranks.
#include <algorithm>
#include <set>

#include "trellis/plan/cost.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

// Every strategy that some layer has as a candidate.
std::set<Strategy> strategies(const Problem& problem, const GlobalChoice& choice) {
  std::set<Strategy> found;
  for (int i = 0; i < static_cast<int>(problem.model->layers.size()); ++i)
    for (const Candidate& candidate : problem.candidates(i, choice)) found.insert(candidate.strategy);
  return found;
}

bool fits_all_layers(const Problem& problem, const Plan& plan) {
  return std::ranges::all_of(problem.model->layers, [&](const auto& layer) {
    return place(plan.layers.front(), *layer, plan.line(), *problem.dimensions).placement.has_value();
  });
}

class Uniform final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    options.finish();  // it has no options of its own: whatever is written there is a mistake
    const int layers = static_cast<int>(problem.model->layers.size());
    std::optional<Plan> best;
    Picoseconds shortest{0};
    for (const GlobalChoice& choice : problem.choices) {
      for (const Strategy& strategy : strategies(problem, choice)) {
        Plan plan{.batch = choice.batch,
                  .micro_batches = choice.micro_batches,
                  .devices = problem.devices,
                  .atoms = choice.atoms,
                  .schedule = choice.schedule};
        plan.stages = even_stages(layers, choice.stages);
        plan.layers.assign(static_cast<std::size_t>(layers), strategy);
        if (!fits_all_layers(problem, plan)) continue;

        const std::optional<PlanCost> cost = step_if_possible(oracle, plan);
        if (!cost) continue;
        ++log.counts["plans priced"];
        if (*std::ranges::max_element(cost->memory) > problem.budget) {
          ++log.counts["plans over budget"];
          continue;
        }
        if (best && cost->step >= shortest) continue;
        shortest = cost->step;
        best = plan;
        log.progress(fmt::format("{} with '{}', {} micro-batches", format(cost->step), to_string(strategy),
                                 choice.micro_batches));
      }
    }
    return best;
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("uniform", "1.0.0") { registrar.add<trellis::Uniform>(); }
