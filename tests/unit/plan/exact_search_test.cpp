// The search `exact` against trying all plans: on made-up costs of every kind, and on costs of real programs.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "support/made_up.h"
#include "support/trying_all.h"

using namespace trellis;
using test::by_trying_all;
using test::fits;
using test::MadeUp;

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
