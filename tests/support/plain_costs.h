// Layers whose costs are said one by one, for searches whose answer is known beforehand: nothing between neighbors,
// nothing sent, nothing updated.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/small_gpt.h"

namespace trellis::test {

class PlainCosts : public CostOracle {
 public:
  struct Option {
    int time = 0;    // of forward, and of backward, of one micro-batch
    int states = 0;  // bytes
  };
  // `kinds`: what layers of a kind may be; `layers`: the kind of each. One choice for each number of stages, in this
  // order, of one micro-batch: a step is what all layers take, however they are cut.
  PlainCosts(std::vector<std::vector<Option>> kinds, std::vector<int> layers, std::vector<int> stages, int budget)
      : kinds_(std::move(kinds)) {
    std::vector<std::shared_ptr<LayerSpec>> types;
    for (const auto& options : kinds_) {
      types.push_back(std::make_shared<LayerSpec>());
      types.back()->type = "kind " + std::to_string(types.size() - 1);
      auto& candidates = candidates_.emplace_back();
      for (std::size_t o = 0; o < options.size(); ++o)
        candidates.push_back({.strategy = {{"option", {"option", {{"number", std::to_string(o)}}}}},
                              .placement = Placement(DeviceLine{{1}})});
    }
    for (const int k : layers) model.layers.push_back(types[static_cast<std::size_t>(k)]);
    for (const int s : stages)
      problem.choices.push_back({.batch = 1, .micro_batches = 1, .atoms = {}, .schedule = "1f1b", .stages = s});
    problem.model = &model, problem.devices = 1, problem.dimensions = &test::dimensions();
    problem.budget = Bytes(budget);
    problem.candidates = [this](int layer, const GlobalChoice&) -> const std::vector<Candidate>& {
      return candidates_[kind(layer)];
    };
  }

  ModelSpec model;
  Problem problem;

  LayerCost layer(int layer, const Candidate& c, const Where&) const override {
    const Option& option = kinds_[kind(layer)][number(c.strategy)];
    LayerCost cost;
    cost.forward.busy = cost.backward.busy = Picoseconds(option.time);
    cost.states = Bytes(option.states);
    return cost;
  }
  EdgeCost edge(int, const Candidate&, const Candidate&, const Where&) const override { return {}; }
  EdgeCost stage_edge(int, const Candidate&, const Candidate&, const Where&) const override { return {}; }
  TieCost tie(int, const Candidate&, int, const Candidate&, bool, const Where&) const override { return {}; }
  int alike(const GlobalChoice&, int) const override { return 0; }
  LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
  Picoseconds step_overhead(const GlobalChoice&) const override { return {}; }
  Slowdown slowdown() const override { return Slowdown(1); }
  const PipelineSchedule& schedule(const GlobalChoice& choice) const override {
    return find_schedule(test::dimensions(), choice.schedule);
  }
  PlanCost step(const Plan& plan) const override {
    std::vector<const Candidate*> chosen;
    for (std::size_t i = 0; i < plan.layers.size(); ++i)
      chosen.push_back(&candidates_[kind(static_cast<int>(i))][number(plan.layers[i])]);
    return composed_step(*this, model, plan, chosen);
  }

 private:
  std::size_t kind(int layer) const {
    return static_cast<std::size_t>(model.layers[static_cast<std::size_t>(layer)]->type.back() - '0');
  }
  static std::size_t number(const Strategy& s) { return static_cast<std::size_t>(s.at("option").integer("number", 0)); }

  std::vector<std::vector<Option>> kinds_;
  std::vector<std::vector<Candidate>> candidates_;
};

}  // namespace trellis::test
