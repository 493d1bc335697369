// Problems with costs drawn at random, for tests of searches: 1 to 3 kinds of layers, costs that depend on neighbors,
// budgets tight and loose, pipelines, layers that share a parameter.
#pragma once

#include <algorithm>
#include <random>

#include "support/small_gpt.h"

namespace trellis::test {

// Costs drawn at random. Whatever is asked for twice is the same.
class MadeUp final : public CostOracle {
 public:
  enum class Shape {
    any,
    deep,   // 2 to 4 stages of few layers, all of which gather and carry values
    level,  // 1 to 3 stages, mostly of one micro-batch, and what is sent and updated takes no time: steps of plans with
            // different numbers of stages often are equal, and so are the sizes of their largest ones
  };
  // Times are multiples of `grain`: the coarser, the more plans take as long as others.
  explicit MadeUp(unsigned seed, int grain = 1, Shape shape = Shape::any) : random_(seed), grain_(grain), deep_(shape == Shape::deep), level_(shape == Shape::level), slowdown_(number(0, 2) == 0 ? 1 : 1 + number(0, 100) / 100.0) {
    const int kinds = number(1, 3), layers = deep_ ? number(3, 5) : number(level_ ? 2 : 1, 4);
    const int options = deep_ ? number(2, 3) : number(1, kinds == 1 ? 4 : 3);
    devices = deep_ || level_ ? 12 : 1 << number(0, 2);
    std::vector<std::shared_ptr<const LayerSpec>> types;
    const bool tied = layers > 1 && number(0, 3) == 0;
    for (int k = 0; k < kinds; ++k) {
      auto type = std::make_shared<LayerSpec>();
      type->type = "kind " + std::to_string(k);
      if (tied && kinds > 1 && k != 1) {
        Parameter shared;
        shared.shared = "table";
        type->parameters.push_back(shared);
      }
      types.push_back(type);
    }
    for (int i = 0; i < layers; ++i)
      model.layers.push_back(types[static_cast<std::size_t>(std::min(i * kinds / layers, kinds - 1))]);
    draw_costs(kinds, options);
    draw_problem();
  }

  ModelSpec model;
  Problem problem;
  int devices = 1;

  LayerCost layer(int layer, const Candidate& c, const Where& w) const override {
    LayerCost cost = layers_[at(kind(layer))][at(index(c))];
    const auto times = [&](Picoseconds& t) { t = t * w.shapes.micro_batch; };
    for (PassCost* pass : {&cost.forward, &cost.backward}) times(pass->busy), times(pass->link);
    for (Bytes* b : {&cost.kept, &cost.forward_peak, &cost.backward_peak, &cost.last_peak}) *b = *b * w.shapes.micro_batch;
    return cost;
  }
  EdgeCost edge(int layer, const Candidate& a, const Candidate& b, const Where&) const override {
    return edges_[at(kind(layer))][at(kind(layer + 1))][at(exit_of(layer, a))][at(entry_of(layer + 1, b))];
  }
  EdgeCost stage_edge(int layer, const Candidate& a, const Candidate& b, const Where& w) const override {
    EdgeCost cost = edge(layer, a, b, w);
    if (level_) return cost;
    cost.send_forward = Picoseconds(13 * (w.stage + 1)), cost.send_backward = Picoseconds(7);
    cost.sent = Bytes(5);
    return cost;
  }
  TieCost tie(int, const Candidate& a, int, const Candidate& b, bool same, const Where&) const override {
    return ties_[at(index(a))][at(index(b))][same ? 1 : 0];
  }
  int alike(const GlobalChoice&, int) const override { return 0; }
  LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
  Picoseconds step_overhead(const GlobalChoice&) const override { return Picoseconds(17); }
  Slowdown slowdown() const override { return slowdown_; }
  const PipelineSchedule& schedule(const GlobalChoice& choice) const override {
    return find_schedule(test::dimensions(), choice.schedule);
  }
  PlanCost step(const Plan& plan) const override {
    std::vector<const Candidate*> chosen;
    for (const Strategy& s : plan.layers)
      chosen.push_back(&candidates_[static_cast<std::size_t>(s.at("option").integer("number", 0))]);
    return composed_step(*this, model, plan, chosen);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  int number(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }
  Picoseconds time(int high) { return Picoseconds(number(0, high) / grain_ * grain_); }
  Bytes size(int high) { return Bytes(level_ ? number(0, high) / 60 * 60 : number(0, high)); }
  int kind(int layer) const { return model.layers[at(layer)]->type.back() - '0'; }
  static int index(const Candidate& c) { return static_cast<int>(c.strategy.at("option").integer("number", 0)); }
  int exit_of(int layer, const Candidate& c) const { return layers_[at(kind(layer))][at(index(c))].exit; }
  int entry_of(int layer, const Candidate& c) const { return layers_[at(kind(layer))][at(index(c))].entry; }

  LayerCost draw_layer(int classes) {
    LayerCost c;
    c.forward.busy = time(900), c.backward.busy = time(1800);
    c.forward.link = std::min(c.forward.busy, time(300)), c.backward.link = std::min(c.backward.busy, time(600));
    if (deep_ || number(0, 2) == 0) c.forward.gather = time(900), c.backward.gather = time(900);
    if (number(0, 2) == 0) c.reduce_each = time(900), c.held = size(40);
    if (number(0, 1) == 0) c.reduce_last = time(2500), c.pending = size(40), c.early = size(9);
    if (!level_) c.update = Picoseconds(50) + time(500);
    c.states = Bytes(60) + size(300), c.kept = size(40);
    c.forward_peak = c.kept + size(60), c.backward_peak = c.kept + size(90), c.last_peak = c.backward_peak + size(40);
    if (c.forward.gather.value > 0) c.gathered = size(80);
    c.update_bytes = size(60);
    c.entry = number(0, classes - 1), c.exit = number(0, classes - 1);
    return c;
  }

  void draw_costs(int kinds, int options) {
    const int classes = number(1, 3);
    const bool mild = number(0, 1) == 0;  // equal layouts cost nothing, as real ones
    for (int k = 0; k < kinds; ++k) {
      auto& costs = layers_.emplace_back();
      for (int o = 0; o < options; ++o) {
        costs.push_back(draw_layer(classes));
        if (mild) costs.back().exit = costs.back().entry;
      }
    }
    edges_.resize(at(kinds), std::vector<std::vector<std::vector<EdgeCost>>>(at(kinds)));
    for (auto& row : edges_)
      for (auto& table : row) {
        table.resize(at(classes), std::vector<EdgeCost>(at(classes)));
        for (int a = 0; a < classes; ++a)
          for (int b = 0; b < classes; ++b)
            if (a != b || !mild) {
              table[at(a)][at(b)] = {.forward = time(400), .backward = time(400), .bytes = size(90)};
              if (deep_) table[at(a)][at(b)].kept = size(40);
            }
      }
    ties_.resize(at(options), std::vector<std::vector<TieCost>>(at(options), std::vector<TieCost>(2)));
    for (auto& row : ties_)
      for (auto& pair : row)
        for (TieCost& t : pair)
          t = {.before = time(200), .after = time(200), .saved = size(60), .saved_update = time(50), .bytes = size(50), .pending = size(30)};
    for (int o = 0; o < options; ++o) {
      Candidate c{.strategy = {{"option", {"option", {{"number", std::to_string(o)}}}}}, .placement = Placement(DeviceLine{{2}})};
      if (o % 3 == 2) c.placement.split(kBatch, *c.placement.claim("option", 2));
      candidates_.push_back(std::move(c));
    }
  }

  void draw_problem() {
    const int layers = static_cast<int>(model.layers.size());
    std::vector<int> stage_counts{1, 2};
    if (deep_) stage_counts = {2, 3, 4};
    if (level_) stage_counts = {3, 1, 2};
    for (const int stages : stage_counts)
      for (const int m : deep_ ? std::vector{2, 4, 5} : level_ ? std::vector{1, 2} : std::vector{1, 2, 5})
        for (const char* schedule : {"1f1b", "gpipe"})
          if (stages <= std::min(devices, layers) && (stages > 1 || schedule[0] == '1') && number(0, 2) > 0)
            problem.choices.push_back({.batch = number(0, 3) == 0 ? 12 : 10,
                                       .micro_batches = m,
                                       .atoms = std::vector<int>(devices / stages > 1 ? 1 : 0, devices / stages),
                                       .schedule = schedule,
                                       .stages = stages});
    if (problem.choices.empty())
      problem.choices.push_back({.batch = 10, .micro_batches = 2, .atoms = {}, .schedule = "1f1b", .stages = 1}), devices = 1;
    problem.model = &model;
    problem.devices = devices;
    problem.dimensions = &test::dimensions();
    problem.budget = Bytes(number(0, 3) == 0 ? 1'000'000 : number(150, 560 * layers));
    if (number(0, 3) == 0) {  // budgets that differ: a little, or by as much as a layer needs
      const int apart = number(0, 1) == 0 ? 40 : static_cast<int>(std::min<std::int64_t>(problem.budget.value, 600));
      for (int d = 0; d < devices; ++d) problem.budgets.push_back(problem.budget - Bytes(number(0, apart)));
      problem.budget = std::ranges::min(problem.budgets);
    }
    for (int k = 0; k < 3; ++k) by_kind_.push_back(candidates_);
    problem.candidates = [this](int layer, const GlobalChoice&) -> const std::vector<Candidate>& {
      return by_kind_[at(kind(layer))];
    };
  }

  std::mt19937 random_;
  int grain_;
  bool deep_, level_;
  Slowdown slowdown_;
  std::vector<std::vector<LayerCost>> layers_;
  std::vector<std::vector<std::vector<std::vector<EdgeCost>>>> edges_;
  std::vector<std::vector<std::vector<TieCost>>> ties_;
  std::vector<Candidate> candidates_;
  std::vector<std::vector<Candidate>> by_kind_;
};

}  // namespace trellis::test
