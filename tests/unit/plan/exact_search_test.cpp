// The search `exact` against trying all plans: on made-up costs of every kind, and on costs of real programs.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

using Cuts = std::vector<std::vector<StageRange>>;

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

// Costs drawn at random. Whatever is asked for twice is the same.
class MadeUp final : public CostOracle {
 public:
  explicit MadeUp(unsigned seed) : random_(seed), slowdown_(number(0, 2) == 0 ? 1 : 1 + number(0, 100) / 100.0) {
    const int kinds = number(1, 3), layers = number(1, 4), options = number(1, kinds == 1 ? 4 : 3);
    devices = 1 << number(0, 2);
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
    cost.send_forward = Picoseconds(13 * (w.stage + 1)), cost.send_backward = Picoseconds(7);
    cost.sent = Bytes(5);
    return cost;
  }
  TieCost tie(int, const Candidate& a, int, const Candidate& b, bool same, const Where&) const override {
    return ties_[at(index(a))][at(index(b))][same ? 1 : 0];
  }
  int alike(const GlobalChoice&, int) const override { return 0; }
  Picoseconds least_busy(int, const GlobalChoice&) const override { return {}; }
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
  Picoseconds time(int high) { return Picoseconds(number(0, high)); }
  Bytes size(int high) { return Bytes(number(0, high)); }
  int kind(int layer) const { return model.layers[at(layer)]->type.back() - '0'; }
  static int index(const Candidate& c) { return static_cast<int>(c.strategy.at("option").integer("number", 0)); }
  int exit_of(int layer, const Candidate& c) const { return layers_[at(kind(layer))][at(index(c))].exit; }
  int entry_of(int layer, const Candidate& c) const { return layers_[at(kind(layer))][at(index(c))].entry; }

  LayerCost draw_layer(int classes) {
    LayerCost c;
    c.forward.busy = time(900), c.backward.busy = time(1800);
    c.forward.link = std::min(c.forward.busy, time(300)), c.backward.link = std::min(c.backward.busy, time(600));
    if (number(0, 2) == 0) c.forward.gather = time(900), c.backward.gather = time(900);
    if (number(0, 2) == 0) c.reduce_each = time(900), c.held = size(40);
    if (number(0, 1) == 0) c.reduce_last = time(2500), c.pending = size(40), c.early = size(9);
    c.update = Picoseconds(50) + time(500);
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
            if (a != b || !mild) table[at(a)][at(b)] = {.forward = time(400), .backward = time(400), .bytes = size(90)};
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
    for (int stages = 1; stages <= std::min({devices, layers, 3}); stages *= 2)
      for (const int m : {1, 2, 5})
        for (const char* schedule : {"1f1b", "gpipe"})
          if ((stages > 1 || schedule[0] == '1') && number(0, 2) > 0)
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
    if (number(0, 3) == 0)
      for (int d = 0; d < devices; ++d) problem.budgets.push_back(problem.budget - Bytes(number(0, 40)));
    for (int k = 0; k < 3; ++k) by_kind_.push_back(candidates_);
    problem.candidates = [this](int layer, const GlobalChoice&) -> const std::vector<Candidate>& {
      return by_kind_[at(kind(layer))];
    };
  }

  std::mt19937 random_;
  Slowdown slowdown_;
  std::vector<std::vector<LayerCost>> layers_;
  std::vector<std::vector<std::vector<std::vector<EdgeCost>>>> edges_;
  std::vector<std::vector<std::vector<TieCost>>> ties_;
  std::vector<Candidate> candidates_;
  std::vector<std::vector<Candidate>> by_kind_;
};

bool fits(const Problem& problem, const Plan& plan, const PlanCost& cost) {
  const GlobalChoice choice{plan.batch, plan.micro_batches, plan.atoms, plan.schedule, static_cast<int>(plan.stages.size())};
  for (std::size_t s = 0; s < cost.memory.size(); ++s)
    if (cost.memory[s] > problem.stage_budget(choice, static_cast<int>(s))) return false;
  return true;
}

// The best score of all plans there are.
std::optional<Score> by_trying_all(const Problem& problem, const CostOracle& oracle) {
  std::optional<Score> best;
  for (const GlobalChoice& choice : problem.choices) {
    Plan plan{.batch = choice.batch, .micro_batches = choice.micro_batches, .devices = problem.devices,
              .atoms = choice.atoms, .schedule = choice.schedule};
    plan.layers.resize(problem.model->layers.size());
    std::vector<const Candidate*> chosen(plan.layers.size());
    for (const auto& cut : all_cuts(static_cast<int>(plan.layers.size()), choice.stages)) {
      plan.stages = cut;
      const std::function<void(std::size_t)> go = [&](std::size_t i) {
        if (i == plan.layers.size()) {
          try {
            const PlanCost cost = composed_step(oracle, *problem.model, plan, chosen);
            if (fits(problem, plan, cost) && (!best || score(plan, cost) < *best)) best = score(plan, cost);
          } catch (const Error& error) {
            if (error.code() != ExitCode::infeasible) throw;
          }
          return;
        }
        for (const Candidate& c : problem.candidates(static_cast<int>(i), choice)) {
          plan.layers[i] = c.strategy, chosen[i] = &c;
          go(i + 1);
        }
      };
      go(0);
    }
  }
  return best;
}

}  // namespace

TEST_CASE("exact equals trying all on 5000 problems with made-up costs") {
  int with_answer = 0, pipelines = 0;
  for (unsigned seed = 1; seed <= 5000; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    SearchLog log;
    const auto plan = test::search("exact")->solve(made.problem, made, Options::empty(), log);
    const std::optional<Score> best = by_trying_all(made.problem, made);
    REQUIRE(plan.has_value() == best.has_value());
    if (!plan) {
      CHECK(log.status == "infeasible, proven");
      continue;
    }
    const PlanCost cost = made.step(*plan);
    REQUIRE(score(*plan, cost) == *best);
    REQUIRE(fits(made.problem, *plan, cost));
    CHECK(log.status == "optimal, proven");
    ++with_answer, pipelines += plan->stages.size() > 1;
  }
  CHECK(with_answer > 3000);
  CHECK(pipelines > 300);
}

TEST_CASE("exact equals trying all on 500 problems of real programs") {
  int with_answer = 0, pipelines = 0, mixed = 0;
  std::mt19937 random(11);
  MESSAGE("seed 11");
  const auto number = [&](int low, int high) { return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)); };
  const auto prices = test::plain_prices(2);
  std::vector<ModelSpec> models;
  for (const char* shape : {"gpt2", "llama"})
    for (const int blocks : {1, 2})
      models.push_back(test::family("gpt")->describe(Options::from_text(
          fmt::format("shape: {}\nhidden: 64\nheads: 4\nvocab: 256\nsequence: 32\nlayers: {}\n", shape, blocks), "small")));
  std::vector<std::unique_ptr<Oracle>> oracles;
  for (const ModelSpec& model : models)
    oracles.push_back(std::make_unique<Oracle>(model, test::dimensions(), test::op_library(), Dtype::f32, prices));
  for (int round = 0; round < 500; ++round) {
    CAPTURE(round);
    const std::size_t m = static_cast<std::size_t>(number(0, 3));
    const ModelSpec& model = models[m];
    const Oracle& oracle = *oracles[m];
    const int devices = 1 << number(1, 2);
    Problem problem = make_problem(model, test::dimensions(),
                                   {.batch = number(0, 3) == 0 ? 6 : 8, .devices = devices, .budget = 1_GiB,
                                    .micro_batches = {1, number(2, 4)}});
    // A few choices, and a few candidates of each layer.
    std::shuffle(problem.choices.begin(), problem.choices.end(), random);
    problem.choices.resize(std::min<std::size_t>(problem.choices.size(), 3));
    auto kept = std::make_shared<std::map<const Candidate*, std::vector<Candidate>>>();
    const std::size_t few = model.layers.size() > 3 ? 2 : 3;
    problem.candidates = [kept, few, seed = random(), all = problem.candidates](
                             int layer, const GlobalChoice& choice) -> const std::vector<Candidate>& {
      const std::vector<Candidate>& whole = all(layer, choice);
      std::vector<Candidate>& some = (*kept)[whole.data()];
      std::mt19937 own(static_cast<unsigned>(seed) + static_cast<unsigned>(kept->size()));
      while (some.size() < std::min(few, whole.size())) some.push_back(whole[own() % whole.size()]);
      return some;
    };
    const auto least = least_memory(problem, oracle);
    if (least && number(0, 2) > 0) problem.budget = scaled(least->budget, 1 + number(0, 80) / 100.0);
    SearchLog log;
    const auto plan = test::search("exact")->solve(problem, oracle, Options::empty(), log);
    const std::optional<Score> best = by_trying_all(problem, oracle);
    REQUIRE(plan.has_value() == best.has_value());
    if (!plan) continue;
    const PlanCost cost = oracle.step(*plan);
    CAPTURE(to_yaml(*plan));
    REQUIRE(score(*plan, cost) == *best);
    CHECK(log.status == "optimal, proven");
    CHECK(*log.lower_bound <= to_seconds(cost.step) * (1 + 1e-12));
    ++with_answer, pipelines += plan->stages.size() > 1;
    mixed += std::ranges::any_of(plan->layers, [&](const Strategy& s) { return s != plan->layers.front(); });
  }
  CHECK(with_answer > 400);
  CHECK(pipelines > 50);
  CHECK(mixed > 200);
}

TEST_CASE("under a limit of labels exact gives the same plan and bound each time, and the bound holds") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    const std::optional<Score> best = by_trying_all(made.problem, made);
    const Options limit = Options::from_text("limit: {labels: 3}", "search");
    SearchLog first, second;
    const auto plan = test::search("exact")->solve(made.problem, made, limit, first);
    CHECK(plan == test::search("exact")->solve(made.problem, made, Options::from_text("limit: {labels: 3}", "search"), second));
    CHECK(first.lower_bound == second.lower_bound);
    CHECK(first.status == second.status);
    if (!plan) continue;
    REQUIRE(best);
    CHECK(score(*plan, made.step(*plan)) >= *best);
  }
  const MadeUp made(1);
  SearchLog log;
  for (const char* bad : {"limit: {labels: 0}", "limit: {seconds: 0}", "limit: {label: 3}", "limits: 3"})
    CHECK_THROWS_AS(test::search("exact")->solve(made.problem, made, Options::from_text(bad, "search"), log), Error);
}
