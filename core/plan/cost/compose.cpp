// A plan's cost, made of those of its layers and edges.
#include <algorithm>
#include <map>
#include <set>

#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {

std::vector<SharedLayers> shared_layers(const ModelSpec& model) {
  std::vector<SharedLayers> found;
  std::map<std::string, int> owners;
  for (int i = 0; i < static_cast<int>(model.layers.size()); ++i)
    for (const Parameter& p : model.layers[static_cast<std::size_t>(i)]->parameters) {
      if (p.shared.empty()) continue;
      const auto [owner, first] = owners.try_emplace(p.shared, i);
      const SharedLayers pair{owner->second, i};
      if (!first && pair.owner != i && std::ranges::count(found, pair) == 0) found.push_back(pair);
    }
  return found;
}

namespace {

class Composer {
 public:
  Composer(const CostOracle& oracle, const ModelSpec& model, const Plan& plan,
           const std::vector<const Candidate*>& candidates)
      : oracle_(oracle), model_(model), plan_(plan), candidates_(candidates), choice_(choice_of(plan)) {
    std::vector<const Placement*> placements;
    for (const Candidate* c : candidates) placements.push_back(&c->placement);
    where_ = {.choice = &choice_, .shapes = shared_shapes(model, choice_, placements)};
  }

  PlanCost run() {
    const int stages = choice_.stages;
    std::vector<StageTotal> totals;
    std::vector<std::vector<Action>> actions;
    for (int s = 0; s < stages; ++s) {
      totals.push_back(stage(s));
      actions.push_back(oracle_.schedule(choice_).actions(plan_.schedule, s, stages, plan_.micro_batches));
    }
    std::vector<TieCost> ties;
    std::vector<Bytes> tie_bytes(totals.size());
    for (const SharedLayers& shared : shared_layers(model_)) {
      const std::size_t owner = stage_of(shared.owner), use = stage_of(shared.use);
      where_.stage = 0;
      ties.push_back(oracle_.tie(shared.owner, at(shared.owner), shared.use, at(shared.use), owner == use, where_));
      totals[use].share(ties.back());
      for (const std::size_t s : {owner, use}) tie_bytes[s] = std::max(tie_bytes[s], ties.back().bytes);
    }
    PlanCost cost;
    cost.step = step_time(totals, actions, ties, oracle_.step_overhead(choice_));
    for (std::size_t s = 0; s < totals.size(); ++s) {
      const int alive = in_flight(actions[s]);
      const Bytes peak = std::max(totals[s].memory(alive), totals[s].states + tie_bytes[s]);
      cost.memory.push_back(peak);
      const Bytes kept = std::min(totals[s].kept * alive, peak - totals[s].states);
      cost.purposes.push_back(
          {{"states", totals[s].states}, {"activation", kept}, {"transient", peak - totals[s].states - kept}});
    }
    cost.samples_per_second = cost.step.value > 0 ? static_cast<double>(plan_.batch) / to_seconds(cost.step) : 0;
    return cost;
  }

 private:
  const Candidate& at(int layer) const { return *candidates_[static_cast<std::size_t>(layer)]; }
  std::size_t stage_of(int layer) const {
    std::size_t s = 0;
    while (layer > plan_.stages[s].last) ++s;
    return s;
  }

  StageTotal stage(int s) {
    const StageRange range = plan_.stages[static_cast<std::size_t>(s)];
    const Slowdown k = oracle_.slowdown();
    where_.stage = s;
    StageSum sum;
    LayerCost last;
    for (int i = range.first; i <= range.last; ++i) {
      const LayerCost next = oracle_.layer(i, at(i), where_);
      if (i == range.first) {
        sum.push(next, nullptr, nullptr, k);
      } else {
        const EdgeCost edge = oracle_.edge(i - 1, at(i - 1), at(i), where_);
        sum.push(next, &last, &edge, k);
      }
      last = next;
    }
    EdgeCost leaving, arriving;
    if (s + 1 < choice_.stages) leaving = oracle_.stage_edge(range.last, at(range.last), at(range.last + 1), where_);
    if (s > 0) {
      where_.stage = s - 1;
      arriving = oracle_.stage_edge(range.first - 1, at(range.first - 1), at(range.first), where_);
    }
    return close(sum, last, s + 1 < choice_.stages ? &leaving : nullptr, s > 0 ? &arriving : nullptr, k);
  }

  const CostOracle& oracle_;
  const ModelSpec& model_;
  const Plan& plan_;
  const std::vector<const Candidate*>& candidates_;
  const GlobalChoice choice_;
  Where where_;
};

}  // namespace

PlanCost composed_step(const CostOracle& oracle, const ModelSpec& model, const Plan& plan,
                       const std::vector<const Candidate*>& candidates) {
  return Composer(oracle, model, plan, candidates).run();
}

}  // namespace trellis
