// What search `exact` rests on: no duration and no size can grow and make a step shorter or a stage smaller.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

// A plan of one candidate a layer, whose costs are at hand to be changed.
class Drawn final : public CostOracle {
 public:
  explicit Drawn(unsigned seed) : random_(seed) {
    const int count = number(1, 7);
    layers.resize(at(count));
    edges.resize(at(count - 1));
    for (LayerCost& c : layers) draw(c);
    for (EdgeCost& e : edges)
      e = {.forward = time(400),
           .backward = time(400),
           .send_forward = time(900),
           .send_backward = time(900),
           .bytes = size(200),
           .sent = size(60)};
    shared = {.before = time(200),
              .after = time(200),
              .saved = size(60),
              .saved_update = time(300),
              .bytes = size(900),
              .pending = size(60)};
    overhead = time(50);
    beyond = number(0, 1) * number(0, 1000) / 1000.0;
    const bool tied = number(0, 1) == 0;
    for (int i = 0; i < count; ++i) {
      auto type = std::make_shared<LayerSpec>();
      if (tied && (i == 0 || i == count - 1)) {
        Parameter table;
        table.shared = "table";
        type->parameters.push_back(table);
      }
      model.layers.push_back(type);
    }
    draw_plan(count);
  }

  std::vector<LayerCost> layers;
  std::vector<EdgeCost> edges;
  TieCost shared;
  Picoseconds overhead{0};
  double beyond = 0;  // slowdown beyond 1
  ModelSpec model;
  Plan plan;

  // A further amount for one of the things named "layer.forward.busy", "edge.sent", ...; its name.
  std::string raise() {
    const auto more = number(0, 2) == 0 ? number(1, 3) : number(1, 1500);
    const Picoseconds t(more);
    const Bytes b(more);
    LayerCost& c = layers[at(number(0, static_cast<int>(layers.size()) - 1))];
    const int what = number(0, edges.empty() ? 24 : 30);
    if (what > 24) {
      EdgeCost& e = edges[at(number(0, static_cast<int>(edges.size()) - 1))];
      switch (what) {
        case 25:
          return e.forward += t, "edge.forward";
        case 26:
          return e.backward += t, "edge.backward";
        case 27:
          return e.send_forward += t, "edge.send_forward";
        case 28:
          return e.send_backward += t, "edge.send_backward";
        case 29:
          return e.bytes += b, "edge.bytes";
        default:
          return e.sent += b, "edge.sent";
      }
    }
    switch (what) {
      case 0:
        return c.forward.busy += t, "layer.forward.busy";
      case 1:
        return c.forward.link = std::min(c.forward.busy, c.forward.link + t), "layer.forward.link";
      case 2:
        return c.forward.gather += t, "layer.forward.gather";
      case 3:
        return c.backward.busy += t, "layer.backward.busy";
      case 4:
        return c.backward.link = std::min(c.backward.busy, c.backward.link + t), "layer.backward.link";
      case 5:
        return c.backward.gather += t, "layer.backward.gather";
      case 6:
        return c.reduce_each += t, "layer.reduce_each";
      case 7:
        return c.reduce_last += t, "layer.reduce_last";
      case 8:
        return c.update += t, "layer.update";
      case 9:
        return c.states += b, "layer.states";
      case 10:
        return c.kept += b, "layer.kept";
      case 11:
        return c.forward_peak += b, "layer.forward_peak";
      case 12:
        return c.backward_peak += b, "layer.backward_peak";
      case 13:
        return c.last_peak += b, "layer.last_peak";
      case 14:
        return c.gathered += b, "layer.gathered";
      case 15:
        return c.held += b, "layer.held";
      case 16:
        return c.pending += b, "layer.pending";
      case 17:
        return c.early += b, "layer.early";
      case 18:
        return c.update_bytes += b, "layer.update_bytes";
      case 19:
        return shared.before += t, "tie.before";
      case 20:
        return shared.after += t, "tie.after";
      case 21:
        return shared.bytes += b, "tie.bytes";
      case 22:
        return shared.pending += b, "tie.pending";
      case 23:
        return overhead += t, "overhead";
      default:
        return beyond = std::min(1.0, beyond + number(1, 500) / 1000.0), "slowdown";
    }
  }

  PlanCost cost() const { return step(plan); }

  LayerCost layer(int layer, const Candidate&, const Where&) const override { return layers[at(layer)]; }
  EdgeCost edge(int layer, const Candidate&, const Candidate&, const Where&) const override { return edges[at(layer)]; }
  EdgeCost stage_edge(int layer, const Candidate&, const Candidate&, const Where&) const override {
    return edges[at(layer)];
  }
  TieCost tie(int, const Candidate&, int, const Candidate&, bool, const Where&) const override { return shared; }
  int alike(const GlobalChoice&, int stage) const override { return stage; }
  LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
  Picoseconds step_overhead(const GlobalChoice&) const override { return overhead; }
  Slowdown slowdown() const override { return Slowdown(1 + beyond); }
  const PipelineSchedule& schedule(const GlobalChoice& choice) const override {
    return find_schedule(test::dimensions(), choice.schedule);
  }
  PlanCost step(const Plan& p) const override {
    return composed_step(*this, model, p, std::vector<const Candidate*>(p.layers.size(), &candidate_));
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  int number(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }
  Picoseconds time(int high) { return Picoseconds(number(0, 1) * number(0, high)); }
  Bytes size(int high) { return Bytes(number(0, 1) * number(0, high)); }

  void draw(LayerCost& c) {
    c.forward = {.busy = time(1000), .link = {}, .gather = time(900)};
    c.backward = {.busy = time(2000), .link = {}, .gather = time(900)};
    c.forward.link = std::min(c.forward.busy, time(500)), c.backward.link = std::min(c.backward.busy, time(800));
    c.reduce_each = time(1500), c.reduce_last = time(3000), c.update = time(500);
    c.states = size(300), c.kept = size(100), c.forward_peak = size(200), c.backward_peak = size(200);
    c.last_peak = size(300), c.gathered = size(90), c.held = size(90), c.pending = size(90), c.early = size(50);
    c.update_bytes = size(400);
  }

  void draw_plan(int count) {
    const int stages = number(1, std::min(count, 4));
    plan = {.batch = 24,
            .micro_batches = number(1, 8),
            .devices = stages,
            .schedule = number(0, 1) == 0 ? "1f1b" : "gpipe"};
    std::set<int> lasts{count - 1};
    while (static_cast<int>(lasts.size()) < stages) lasts.insert(number(0, count - 1));
    int first = 0;
    for (const int last : lasts) plan.stages.push_back({first, last}), first = last + 1;
    plan.layers.resize(at(count));
  }

  std::mt19937 random_;
  Candidate candidate_{.strategy = {}, .placement = Placement(DeviceLine{{}})};
};

}  // namespace

TEST_CASE("no duration and no size that grows makes a step shorter or a stage smaller") {
  std::map<std::string, int> raised, felt;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Drawn drawn(seed);
    PlanCost before = drawn.cost();
    for (int round = 0; round < 20; ++round) {
      const std::string what = drawn.raise();
      CAPTURE(what);
      const PlanCost after = drawn.cost();
      REQUIRE(after.step >= before.step);
      for (std::size_t s = 0; s < after.memory.size(); ++s) REQUIRE(after.memory[s] >= before.memory[s]);
      ++raised[what];
      felt[what] += after.step > before.step || after.memory != before.memory;
      before = after;
    }
  }
  // The test would be none if the plans did not feel what is raised.
  CHECK(raised.size() == 31);
  for (const auto& [what, times] : raised) {
    CAPTURE(what);
    CHECK(times > 500);
    CHECK(felt[what] > 50);
  }
}

TEST_CASE("what a tie saves makes no step longer and no stage larger") {
  for (unsigned seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Drawn drawn(seed);
    const PlanCost before = drawn.cost();
    drawn.shared.saved += Bytes(30), drawn.shared.saved_update += Picoseconds(100);
    const PlanCost after = drawn.cost();
    REQUIRE(after.step <= before.step);
    for (std::size_t s = 0; s < after.memory.size(); ++s) REQUIRE(after.memory[s] <= before.memory[s]);
  }
}
