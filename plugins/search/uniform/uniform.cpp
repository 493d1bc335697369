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

// Whether it is a candidate of every layer: one that cannot have it has none such, nor has one that the user pinned.
class EveryLayer {
 public:
  EveryLayer(const Problem& problem, const GlobalChoice& choice) : problem_(problem), line_{choice.atoms} {
    std::set<const std::vector<Candidate>*> seen;
    for (int i = 0; i < static_cast<int>(problem.model->layers.size()); ++i) {
      const std::vector<Candidate>& all = problem.candidates(i, choice);
      if (!seen.insert(&all).second) continue;
      auto& [layer, keys] = kinds_.emplace_back(problem.model->layers[static_cast<std::size_t>(i)].get(), Keys{});
      for (const Candidate& candidate : all) keys.insert(candidate.placement.key());
    }
  }

  bool has(const Strategy& strategy) const {
    return std::ranges::all_of(kinds_, [&](const auto& kind) {
      const Placed placed = place(strategy, *kind.first, line_, *problem_.dimensions);
      return placed.placement && kind.second.contains(placed.placement->key());
    });
  }

 private:
  using Keys = std::set<std::string>;
  const Problem& problem_;
  DeviceLine line_;
  std::vector<std::pair<const LayerSpec*, Keys>> kinds_;
};

class Uniform final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    options.finish();  // it has no options of its own: whatever is written there is a mistake
    const int layers = static_cast<int>(problem.model->layers.size());
    std::optional<Plan> best;
    Score best_score;
    for (const GlobalChoice& choice : problem.choices) {
      const EveryLayer every_layer(problem, choice);
      for (const Strategy& strategy : strategies(problem, choice)) {
        if (log.stopped()) return best;
        if (!every_layer.has(strategy)) continue;
        Plan plan = plan_under(choice);
        plan.stages = even_stages(layers, choice.stages);
        plan.layers.assign(static_cast<std::size_t>(layers), strategy);
        const std::optional<PlanCost> cost = step_if_possible(oracle, plan);
        if (!cost) continue;
        ++log.counts["plans priced"];
        if (!problem.fits(choice, cost->memory)) {
          ++log.counts["plans over budget"];
          continue;
        }
        if (best && score(plan, *cost) >= best_score) continue;
        best_score = score(plan, *cost);
        best = plan;
        log.known({.step = cost->step, .memory = *std::ranges::max_element(cost->memory), .gap = {}});
        log.progress(fmt::format("{} with '{}', micro-batches {}", format(cost->step), to_string(strategy),
                                 choice.micro_batches));
      }
    }
    return best;
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("uniform", "1.0.0") { registrar.add<trellis::Uniform>(); }
