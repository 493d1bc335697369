// Problems and plans that are a little different.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "plan/whatif/placed_plan.h"
#include "trellis/plan/whatif.h"

namespace trellis {

bool Answer::is_proven() const { return log.status == (plan ? "optimal, proven" : "infeasible, proven"); }

Bytes Answer::memory() const { return *std::ranges::max_element(cost.memory); }

std::string StrategyGroup::range() const {
  std::vector<std::string> parts;
  for (std::size_t i = 0, next = 0; i < layers.size(); i = next) {
    for (next = i + 1; next < layers.size() && layers[next] == layers[next - 1] + 1;) ++next;
    parts.push_back(format(Range{layers[i], layers[next - 1]}));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

std::vector<StrategyGroup> strategy_groups(const Plan& plan, const ModelSpec& model) {
  std::vector<StrategyGroup> groups;
  for (int i = 0; i < static_cast<int>(plan.layers.size()); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const LayerSpec* type = model.layers[at].get();
    auto known = std::ranges::find_if(
        groups, [&](const StrategyGroup& g) { return g.type == type && g.strategy == plan.layers[at]; });
    if (known == groups.end()) known = groups.insert(groups.end(), {type, {}, plan.layers[at]});
    known->layers.push_back(i);
  }
  return groups;
}

bool same_mix(const Plan& a, const Plan& b, const ModelSpec& model) {
  if (choice_of(a) != choice_of(b) || a.layers.size() != b.layers.size()) return false;
  const auto mix = [&](const Plan& plan) {
    std::map<std::pair<const LayerSpec*, std::string>, std::size_t> counts;
    for (const StrategyGroup& g : strategy_groups(plan, model))
      counts[{g.type, to_string(g.strategy)}] = g.layers.size();
    return counts;
  };
  return mix(a) == mix(b);
}

std::optional<PlacedPlan> placed(const Problem& problem, const Plan& plan) {
  PlacedPlan result{.choice = problem.find_choice(plan), .layers = {}};
  if (!result.choice || plan.layers.size() != problem.model->layers.size()) return std::nullopt;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const Placed layer = place(plan.layers[i], *problem.model->layers[i], plan.line(), *problem.dimensions);
    const auto& all = problem.candidates(static_cast<int>(i), *result.choice);
    const auto found = std::ranges::find_if(all, [&](const Candidate& c) { return c.placement == layer.placement; });
    if (found == all.end()) return std::nullopt;
    result.layers.push_back(&*found);
  }
  return result;
}

namespace {

// Some layers' candidates but for those that are left out. Layers that had the same candidates still share theirs.
class Reduced {
 public:
  using Keeps = std::function<bool(int layer, const GlobalChoice&, const Candidate&)>;
  Reduced(const Problem& problem, std::vector<int> layers, Keeps keeps)
      : problem_(problem), layers_(std::move(layers)), keeps_(std::move(keeps)) {}

  const std::vector<Candidate>& candidates(int layer, const GlobalChoice& choice) {
    const std::vector<Candidate>& all = problem_.candidates(layer, choice);
    if (std::ranges::count(layers_, layer) == 0) return all;
    const std::lock_guard lock(mutex_);
    const auto [entry, fresh] = known_.try_emplace(&all);
    if (fresh)
      std::ranges::copy_if(all, std::back_inserter(entry->second),
                           [&](const Candidate& c) { return keeps_(layer, choice, c); });
    return entry->second;
  }

 private:
  const Problem problem_;
  const std::vector<int> layers_;
  const Keeps keeps_;
  std::mutex mutex_;
  std::map<const std::vector<Candidate>*, std::vector<Candidate>> known_;
};

Problem reduced(const Problem& problem, const CostOracle& oracle, const std::vector<int>& layers,
                Reduced::Keeps keeps) {
  const auto some = std::make_shared<Reduced>(problem, layers, std::move(keeps));
  Problem result = problem;
  result.candidates = [some](int layer, const GlobalChoice& choice) -> const std::vector<Candidate>& {
    return some->candidates(layer, choice);
  };
  std::erase_if(result.choices, [&](const GlobalChoice& choice) {
    return std::ranges::any_of(layers, [&](int layer) { return result.candidates(layer, choice).empty(); });
  });
  if (result.start && !objection(result, *result.start, oracle.step(*result.start)).empty()) result.start.reset();
  return result;
}

}  // namespace

Problem without_strategy(const Problem& problem, const CostOracle& oracle, const std::vector<int>& layers,
                         const Strategy& strategy) {
  // Other names may mean the same placement, so that it is placements that are left out.
  return reduced(problem, oracle, layers,
                 [strategy, model = problem.model, dimensions = problem.dimensions](
                     int layer, const GlobalChoice& choice, const Candidate& c) {
                   const Placed forbidden = place(strategy, *model->layers[static_cast<std::size_t>(layer)],
                                                  DeviceLine{choice.atoms}, *dimensions);
                   return c.placement != forbidden.placement;
                 });
}

Problem without_dimension(const Problem& problem, const CostOracle& oracle, std::string_view dimension) {
  if (dimension == "pp") {
    Problem result = problem;
    std::erase_if(result.choices, [](const GlobalChoice& choice) { return choice.stages > 1; });
    if (result.start && result.start->stages.size() > 1) result.start.reset();
    return result;
  }
  std::vector<int> layers(problem.model->layers.size());
  std::iota(layers.begin(), layers.end(), 0);
  return reduced(problem, oracle, layers,
                 [name = std::string(dimension)](int, const GlobalChoice&, const Candidate& c) {
                   const auto setting = c.strategy.find(name);
                   return setting == c.strategy.end() || !setting->second.on();
                 });
}

std::vector<std::pair<Plan, PlanCost>> one_layer_changes(const Problem& problem, const CostOracle& oracle,
                                                         const Plan& plan) {
  std::vector<std::pair<Plan, PlanCost>> changes;
  const std::optional<PlacedPlan> now = placed(problem, plan);
  if (!now) return changes;
  const int layers = static_cast<int>(plan.layers.size());
  const auto alike = [&](int a, int b) {
    if (a < 0 || b < 0 || a >= layers || b >= layers) return false;
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    const auto together = [&](const StageRange& s) { return s.first <= std::min(a, b) && std::max(a, b) <= s.last; };
    return problem.model->layers[i] == problem.model->layers[j] && now->layers[i] == now->layers[j] &&
           std::ranges::any_of(plan.stages, together);
  };
  for (int i = 0; i < layers; ++i) {
    if (alike(i - 1, i) && alike(i, i + 1)) continue;  // inside a run of equal layers
    const auto at = static_cast<std::size_t>(i);
    for (const Candidate& c : problem.candidates(i, *now->choice)) {
      if (c.placement == now->layers[at]->placement) continue;
      std::vector<const Candidate*> chosen = now->layers;
      Plan other = plan;
      chosen[at] = &c, other.layers[at] = c.strategy;
      other.made_by.clear(), other.predicted.reset();
      try {
        PlanCost cost = composed_step(oracle, *problem.model, other, chosen);
        if (problem.fits(*now->choice, cost.memory)) changes.emplace_back(std::move(other), std::move(cost));
      } catch (const Error& error) {
        if (error.code() != ExitCode::infeasible) throw;
      }
    }
  }
  return changes;
}

std::vector<int> full_stages(const Problem& problem, const Plan& plan, const PlanCost& cost, double share) {
  const GlobalChoice choice = choice_of(plan);
  const auto used = [&](int s) {
    return ratio(cost.memory[static_cast<std::size_t>(s)], problem.stage_budget(choice, s));
  };
  std::vector<int> full;
  for (int s = 0; s < choice.stages; ++s)
    if (used(s) >= share) full.push_back(s);
  std::ranges::stable_sort(full, [&](int a, int b) { return used(a) > used(b); });
  return full;
}

}  // namespace trellis
