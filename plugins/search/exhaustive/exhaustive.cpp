// Every plan there is: each choice, each cut into stages, each candidate of each layer. For problems of a few layers,
// and as the judge of other searches.
#include <algorithm>
#include <functional>

#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plugin.h"

namespace trellis {
namespace {

using Cuts = std::vector<std::vector<StageRange>>;

// All ways to cut `layers` into consecutive stages of at least one layer.
Cuts all_cuts(int layers, int stages, int first = 0) {
  if (stages == 1) return {{{first, layers - 1}}};
  Cuts cuts;
  for (int last = first; last + stages <= layers; ++last)
    for (std::vector<StageRange>& rest : all_cuts(layers, stages - 1, last + 1)) {
      rest.insert(rest.begin(), {first, last});
      cuts.push_back(std::move(rest));
    }
  return cuts;
}

double binomial(int n, int k) {
  double result = 1;
  for (int i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

double count_plans(const Problem& problem) {
  const int layers = static_cast<int>(problem.model->layers.size());
  double total = 0;
  for (const GlobalChoice& choice : problem.choices) {
    double plans = binomial(layers - 1, choice.stages - 1);
    for (int i = 0; i < layers; ++i) plans *= static_cast<double>(problem.candidates(i, choice).size());
    total += plans;
  }
  return total;
}

// Calls back with every combination of the layers' candidates.
void for_each_combination(const Problem& problem, const GlobalChoice& choice, Plan& plan,
                          const std::function<void()>& visit, std::size_t layer = 0) {
  if (layer == problem.model->layers.size()) return visit();
  for (const Candidate& candidate : problem.candidates(static_cast<int>(layer), choice)) {
    plan.layers[layer] = candidate.strategy;
    for_each_combination(problem, choice, plan, visit, layer + 1);
  }
}

class Exhaustive final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    const auto limit = options.get<std::int64_t>("limit", 100'000);
    if (limit < 1) options.reject("limit", fmt::format("expected at least 1 plan, found {}", limit));
    options.finish();
    const double plans = count_plans(problem);
    if (plans > static_cast<double>(limit))
      throw Error(
          ExitCode::unsupported,
          fmt::format("exhaustive search: the problem has {} plans, more than the limit of {}",
                      plans < 1e9 ? fmt::format("{:.0f}", plans) : fmt::format("about {:.0e}", plans), limit),
          "use dynamic_programming, fewer layers or choices, or raise search.limit");
    std::optional<Plan> best;
    Score best_score;
    for (const GlobalChoice& choice : problem.choices) {
      Plan plan = plan_under(choice);
      plan.layers.resize(problem.model->layers.size());
      for (const auto& cut : all_cuts(static_cast<int>(plan.layers.size()), choice.stages)) {
        plan.stages = cut;
        for_each_combination(problem, choice, plan, [&] {
          if (log.stopped()) return;
          const std::optional<PlanCost> cost = step_if_possible(oracle, plan);
          if (!cost) return;
          ++log.counts["plans priced"];
          if (!problem.fits(choice, cost->memory)) return void(++log.counts["plans over budget"]);
          if (best && score(plan, *cost) >= best_score) return;
          best = plan, best_score = score(plan, *cost);
          log.known({.step = cost->step, .memory = *std::ranges::max_element(cost->memory), .gap = {}});
        });
      }
    }
    return best;
  }
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("exhaustive", "1.0.0") { registrar.add<trellis::Exhaustive>(); }
