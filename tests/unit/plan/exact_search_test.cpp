// The search `exact` against trying all plans: on made-up costs of every kind, and on costs of real programs.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "support/made_up.h"
#include "support/plain_costs.h"
#include "support/share_of_problems.h"
#include "support/trying_all.h"

using namespace trellis;
using test::by_trying_all;
using test::MadeUp;

constexpr int kShare = test::kShare;

TEST_CASE("exact equals trying all on 5000 problems with made-up costs") {
  int with_answer = 0, pipelines = 0, differing = 0;
  for (unsigned seed = 1; seed <= 5000u / kShare; ++seed) {
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
    REQUIRE(made.problem.fits(choice_of(*plan), cost.memory));
    CHECK(log.status == "optimal, proven");
    ++with_answer, pipelines += plan->stages.size() > 1;
    differing += plan->stages.size() > 1 && !made.problem.budgets.empty();
  }
  CHECK(with_answer > 3000 / kShare);
  CHECK(pipelines > 300 / kShare);
  CHECK(differing > 50 / kShare);
}

TEST_CASE("exact equals trying all on 300 pipelines of few layers a stage") {
  int with_answer = 0, deep = 0;
  for (unsigned seed = 1; seed <= 300u / kShare; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 1, MadeUp::Shape::deep);
    SearchLog log;
    const auto plan = test::search("exact")->solve(made.problem, made, Options::empty(), log);
    const std::optional<Score> best = by_trying_all(made.problem, made);
    REQUIRE(plan.has_value() == best.has_value());
    if (!plan) continue;
    REQUIRE(score(*plan, made.step(*plan)) == *best);
    CHECK(log.status == "optimal, proven");
    ++with_answer, deep += plan->stages.size() > 2;
  }
  CHECK(with_answer > 150 / kShare);
  CHECK(deep > 30 / kShare);
}

TEST_CASE("exact equals trying all on 500 problems of real programs") {
  int with_answer = 0, pipelines = 0, mixed = 0, with_ties = 0;
  std::mt19937 random(11);
  MESSAGE("seed 11");
  const auto number = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  const auto prices = test::plain_prices(2);
  std::vector<ModelSpec> models;
  for (const char* shape : {"gpt2", "llama"})
    for (const int blocks : {1, 2})
      models.push_back(test::family("gpt")->describe(Options::from_text(
          fmt::format("shape: {}\nhidden: 64\nheads: 4\nvocab: 256\nsequence: 32\nlayers: {}\n", shape, blocks),
          "small")));
  std::vector<std::unique_ptr<Oracle>> oracles;
  for (const ModelSpec& model : models)
    oracles.push_back(std::make_unique<Oracle>(model, test::dimensions(), test::op_library(), Dtype::f32, prices));
  for (int round = 0; round < 500 / kShare; ++round) {
    CAPTURE(round);
    const std::size_t m = static_cast<std::size_t>(number(0, 3));
    const ModelSpec& model = models[m];
    const Oracle& oracle = *oracles[m];
    const int devices = 1 << number(1, 2);
    Problem problem = make_problem(
        model, test::dimensions(),
        {.batch = number(0, 3) == 0 ? 6 : 8, .devices = devices, .budget = 1_GiB, .micro_batches = {1, number(2, 4)}});
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
    if (least && number(0, 3) == 0) {
      for (int d = 0; d < devices; ++d)
        problem.budgets.push_back(scaled(least->budget, number(80, 180) / 100.0));
      problem.budget = std::ranges::min(problem.budgets);
    }
    SearchLog log;
    const auto plan = test::search("exact")->solve(problem, oracle, Options::empty(), log);
    const test::First first = test::first_by_trying_all(problem, oracle);
    REQUIRE(plan.has_value() == first.score.has_value());
    if (!plan) continue;
    const PlanCost cost = oracle.step(*plan);
    CAPTURE(to_yaml(*plan));
    REQUIRE(score(*plan, cost) == *first.score);
    CHECK(log.status == "optimal, proven");
    CHECK(test::precedence(problem, *plan, cost) == first.tie);
    CHECK(log.notes["ties"] == "proven");
    with_ties += first.as_fast > 1;
    CHECK(*log.lower_bound <= to_seconds(cost.step) * (1 + 1e-12));
    ++with_answer, pipelines += plan->stages.size() > 1;
    REQUIRE(problem.fits(choice_of(*plan), cost.memory));
    mixed += std::ranges::any_of(plan->layers, [&](const Strategy& s) { return s != plan->layers.front(); });
  }
  CHECK(with_answer > 400 / kShare);
  CHECK(pipelines > 50 / kShare);
  CHECK(mixed > 200 / kShare);
  MESSAGE(with_ties << " with ties");
}

TEST_CASE("under a limit of labels exact gives the same plan and bound each time, and the bound holds") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    const std::optional<Score> best = by_trying_all(made.problem, made);
    const Options limit = Options::from_text("limit: {labels: 3}", "search");
    SearchLog first, second;
    const auto plan = test::search("exact")->solve(made.problem, made, limit, first);
    CHECK(plan ==
          test::search("exact")->solve(made.problem, made, Options::from_text("limit: {labels: 3}", "search"), second));
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

TEST_CASE("out of time exact says truly how near its plan is") {
  int found = 0, open = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    const std::optional<Score> best = by_trying_all(made.problem, made);
    SearchLog log;
    const auto plan =
        test::search("exact")->solve(made.problem, made, Options::from_text("limit: {seconds: 1.0e-9}", "search"), log);
    if (!best) {
      CHECK(!plan);
      continue;
    }
    CHECK(log.status != "infeasible, proven");
    if (!plan) continue;
    const Score reached = score(*plan, made.step(*plan));
    CHECK(reached >= *best);
    REQUIRE(log.lower_bound);
    const bool several = std::ranges::any_of(
        made.problem.choices, [&](const GlobalChoice& c) { return c.batch != made.problem.choices.front().batch; });
    const double divisor = several ? static_cast<double>(best->batch) : 1.0;
    CHECK(*log.lower_bound <= to_seconds(best->step) / divisor * (1 + 1e-12));
    if (log.status == "optimal, proven") CHECK(reached == *best);
    else ++open;
    ++found;
  }
  CHECK(found > 150);
  CHECK(open > 20);
}

TEST_CASE("out of time exact does not go through all choices for a plan where there may be none") {
  struct Slow final : test::PlainCosts {
    using PlainCosts::PlainCosts;
    LayerCost layer(int layer, const Candidate& c, const Where& where) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      return PlainCosts::layer(layer, c, where);
    }
  };
  const Slow slow({{{10, 100}}}, {0, 0}, std::vector<int>(100, 1), 150);
  SearchLog log;
  const auto limit = Options::from_text("limit: {seconds: 0.05}", "search");
  CHECK_FALSE(test::search("exact")->solve(slow.problem, slow, limit, log));
  CHECK(log.status == "nothing found");
  CHECK(log.counts["choices priced"] < 80);  // one by one 30 ms each, for a second longer
}

TEST_CASE("exact searches pipelines of more than 64 stages by labels") {
  const ModelSpec model = test::small_gpt(68);
  const Oracle oracle(model, test::dimensions(), test::op_library(), Dtype::f32, test::plain_prices());
  Problem problem = make_problem(
      model, test::dimensions(),
      {.batch = 2, .devices = 70, .budget = 1_GiB, .micro_batches = {2}, .stages = {70}, .schedules = {"gpipe"}});
  SearchLog log;
  const auto ample = test::search("exact")->solve(problem, oracle, Options::empty(), log);
  REQUIRE(ample);
  // A little less than the fastest plan takes: some stages recompute, and the bounds alone do not settle which.
  const std::vector<Bytes> memory = oracle.step(*ample).memory;
  problem.budget = *std::ranges::max_element(memory) - 1_B;
  const auto tight = test::search("exact")->solve(problem, oracle, Options::empty(), log);
  REQUIRE(tight);
  const PlanCost cost = oracle.step(*tight);
  CHECK(tight->stages.size() == 70);
  CHECK(log.counts["labels"] > 0);
  CHECK(objection(problem, *tight, cost).empty());
  CHECK(log.status == "optimal, proven");
  CHECK(cost.step > oracle.step(*ample).step);
  // Nothing that changes one layer of it is better.
  for (std::size_t i = 0; i < tight->layers.size(); ++i)
    for (const Candidate& c : problem.candidates(static_cast<int>(i), problem.choices.front())) {
      Plan other = *tight;
      other.layers[i] = c.strategy;
      const auto changed = step_if_possible(oracle, other);
      if (changed && objection(problem, other, *changed).empty()) CHECK(changed->step >= cost.step);
    }
}
