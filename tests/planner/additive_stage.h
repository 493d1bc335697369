// One stage whose time and memory are sums over its layers, drawn at random: what an integer program can say, too.
#pragma once

#include <random>

#include "support/small_gpt.h"

namespace trellis::test {

// Whole numbers, small enough that an integer program in doubles is exact about them.
class AdditiveStage final : public CostOracle {
 public:
  struct Row {                // what one layer of a kind costs under an option
    std::int64_t time = 0;    // of the whole step
    std::int64_t memory = 0;  // of all micro-batches alive
    int layout = 0;           // how values enter and leave
  };

  // `layouts`: 1: layers have nothing to do with one another; more: changing from one to another takes time.
  AdditiveStage(unsigned seed, int kinds, int layers, int options, int layouts) : random_(seed) {
    draw_costs(kinds, options, layouts);
    std::vector<std::shared_ptr<const LayerSpec>> types;
    for (int k = 0; k < kinds; ++k) {
      auto type = std::make_shared<LayerSpec>();
      type->type = "kind " + std::to_string(k);
      types.push_back(type);
    }
    const bool in_turn = number(0, 1) == 0;  // else one kind after the other
    for (int i = 0; i < layers; ++i) {
      kinds_.push_back(in_turn ? i % kinds : i * kinds / layers);
      model.layers.push_back(types[at(kinds_.back())]);
    }
    draw_problem(options);
  }

  ModelSpec model;
  Problem problem;

  int layers() const { return static_cast<int>(kinds_.size()); }
  int kinds() const { return static_cast<int>(costs_.size()); }
  int options() const { return static_cast<int>(costs_.front().size()); }
  int kind(int layer) const { return kinds_[at(layer)]; }
  static int option(const Strategy& s) { return static_cast<int>(s.at("option").integer("number", 0)); }

  // For the integer program.
  Row row(int kind, int option) const {
    const LayerCost& c = costs_[at(kind)][at(option)];
    return {.time = micro_batches() * (c.forward.busy + c.backward.busy).value + c.update.value,
            .memory = c.states.value + alive() * c.kept.value,
            .layout = c.entry};
  }
  std::int64_t change(int from, int to) const {
    const EdgeCost& e = edges_[at(from)][at(to)];
    return micro_batches() * (e.forward + e.backward).value;
  }
  static constexpr std::int64_t kOverhead = 17;

  LayerCost layer(int layer, const Candidate& c, const Where&) const override {
    return costs_[at(kind(layer))][at(option(c.strategy))];
  }
  EdgeCost edge(int layer, const Candidate& a, const Candidate& b, const Where&) const override {
    return edges_[at(costs_[at(kind(layer))][at(option(a.strategy))].exit)]
                 [at(costs_[at(kind(layer + 1))][at(option(b.strategy))].entry)];
  }
  EdgeCost stage_edge(int, const Candidate&, const Candidate&, const Where&) const override { return {}; }
  TieCost tie(int, const Candidate&, int, const Candidate&, bool, const Where&) const override { return {}; }
  int alike(const GlobalChoice&, int) const override { return 0; }
  LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
  Picoseconds step_overhead(const GlobalChoice&) const override { return Picoseconds(kOverhead); }
  Slowdown slowdown() const override { return Slowdown(1.1); }
  const PipelineSchedule& schedule(const GlobalChoice& choice) const override {
    return find_schedule(dimensions(), choice.schedule);
  }
  PlanCost step(const Plan& plan) const override {
    std::vector<const Candidate*> chosen;
    for (const Strategy& s : plan.layers) chosen.push_back(&candidates_.front()[at(option(s))]);
    return composed_step(*this, model, plan, chosen);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  int number(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }
  std::int64_t micro_batches() const { return problem.choices.front().micro_batches; }
  std::int64_t alive() const { return problem.choices.front().schedule == "gpipe" ? micro_batches() : 1; }

  // Faster options take more memory, roughly, so that there is something to choose.
  void draw_costs(int kinds, int options, int layouts) {
    for (int k = 0; k < kinds; ++k) {
      auto& costs = costs_.emplace_back();
      for (int o = 0; o < options; ++o) {
        LayerCost c;
        const int speed = number(0, 1000);
        c.forward.busy = Picoseconds(1000 + speed + number(0, 150)),
        c.backward.busy = Picoseconds(2000 + 2 * speed + number(0, 300));
        c.update = Picoseconds(number(0, 400));
        c.states = Bytes(400 + number(0, 200) + (1000 - speed) / 2),
        c.kept = Bytes(50 + (1000 - speed) / 8 + number(0, 60));
        c.forward_peak = c.backward_peak = c.last_peak = c.kept;
        c.entry = c.exit = number(0, layouts - 1);
        costs.push_back(c);
      }
    }
    edges_.assign(at(layouts), std::vector<EdgeCost>(at(layouts)));
    for (int a = 0; a < layouts; ++a)
      for (int b = 0; b < layouts; ++b)
        if (a != b)
          edges_[at(a)][at(b)] = {.forward = Picoseconds(number(1, 900)), .backward = Picoseconds(number(1, 900))};
  }

  void draw_problem(int options) {
    for (int o = 0; o < options; ++o)
      candidates_.front().push_back({.strategy = {{"option", {"option", {{"number", std::to_string(o)}}}}},
                                     .placement = Placement(DeviceLine{{}})});
    candidates_.back() = candidates_.front();
    const int m = number(1, 6);
    problem.choices = {
        {.batch = m, .micro_batches = m, .atoms = {}, .schedule = number(0, 1) == 0 ? "1f1b" : "gpipe", .stages = 1}};
    problem.model = &model;
    problem.dimensions = &dimensions();
    std::int64_t least = 0, most = 0;
    for (int i = 0; i < layers(); ++i) {
      std::int64_t low = INT64_MAX, high = 0;
      for (int o = 0; o < options; ++o) {
        low = std::min(low, row(kind(i), o).memory);
        high = std::max(high, row(kind(i), o).memory);
      }
      least += low, most += high;
    }
    // From a little less than some plan needs to nearly what any plan does.
    problem.budget = Bytes(least + (most - least) * number(-2, 90) / 100);
    problem.candidates = [this](int layer, const GlobalChoice&) -> const std::vector<Candidate>& {
      return candidates_[at(kind(layer))];
    };
  }

  std::mt19937 random_;
  std::vector<int> kinds_;                                                                   // by layer
  std::vector<std::vector<LayerCost>> costs_;                                                // [kind][option]
  std::vector<std::vector<EdgeCost>> edges_;                                                 // [layout][layout]
  std::vector<std::vector<Candidate>> candidates_ = std::vector<std::vector<Candidate>>(2);  // [kind]
};

}  // namespace trellis::test
