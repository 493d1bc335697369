// A greedy search: under every global choice it starts with all dimensions off in every layer, and goes over the layers
// one at a time, giving each the candidate with which the whole plan is best. It ends when a sweep changes nothing.
#include <algorithm>
#include <tuple>

#include "trellis/plan/cost.h"
#include "trellis/plan/plugin.h"

namespace {

using namespace trellis;

// What makes one plan better than another: first to fit, then to be fast.
struct Worth {
  Bytes excess{0};  // over the budget, in the fullest stage
  Picoseconds step{0};
  auto operator<=>(const Worth&) const = default;
};

class Descent {
 public:
  Descent(const Problem& problem, const CostOracle& oracle, const GlobalChoice& choice, SearchLog& log)
      : problem_(problem), oracle_(oracle), choice_(choice), log_(log) {}

  std::optional<std::pair<Worth, Plan>> run(int sweeps) const {
    Plan plan = start();
    std::optional<Worth> worth = price(plan);
    if (!worth) return std::nullopt;
    for (int sweep = 0; sweep < sweeps; ++sweep) {
      const Worth before = *worth;
      for (int layer = 0; layer < num_layers(); ++layer) improve(layer, plan, *worth);
      if (*worth == before) break;
    }
    return std::pair(*worth, plan);
  }

 private:
  int num_layers() const { return static_cast<int>(problem_.model->layers.size()); }

  Plan start() const {
    Plan plan = plan_under(choice_);
    plan.stages = even_stages(num_layers(), choice_.stages);
    for (int layer = 0; layer < num_layers(); ++layer)
      plan.layers.push_back(problem_.candidates(layer, choice_).front().strategy);
    return plan;
  }

  void improve(int layer, Plan& plan, Worth& worth) const {
    Strategy& mine = plan.layers[static_cast<std::size_t>(layer)];
    Strategy best = mine;
    for (const Candidate& candidate : problem_.candidates(layer, choice_)) {
      mine = candidate.strategy;
      const std::optional<Worth> found = price(plan);
      if (found && *found < worth) worth = *found, best = mine;
    }
    mine = best;
  }

  // Nothing where the plan cannot be derived.
  std::optional<Worth> price(const Plan& plan) const {
    const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
    if (!cost) return std::nullopt;
    ++log_.counts["plans priced"];
    const Bytes fullest = *std::ranges::max_element(cost->memory);
    return Worth{std::max(Bytes{0}, fullest - problem_.budget), cost->step};
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const GlobalChoice& choice_;
  SearchLog& log_;
};

class Greedy final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    const int sweeps = options.get("sweeps", 4);
    if (sweeps < 1) options.reject("sweeps", fmt::format("expected 1 or more, found {}", sweeps));
    options.finish();  // what was not read is a mistake of the user's

    std::optional<std::pair<Worth, Plan>> best;
    for (const GlobalChoice& choice : problem.choices) {
      const auto found = Descent(problem, oracle, choice, log).run(sweeps);
      if (!found || found->first.excess > Bytes{0} || (best && best->first <= found->first)) continue;
      best = found;
      log.progress(fmt::format("{} with {} stages, {} micro-batches", format(best->first.step), choice.stages,
                               choice.micro_batches));
    }
    if (!best) return std::nullopt;
    return best->second;
  }
};

}  // namespace

TRELLIS_PLUGIN("greedy", "1.0.0") { registrar.add<Greedy>(); }
