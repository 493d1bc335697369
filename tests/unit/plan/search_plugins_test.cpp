#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>

#include "support/small_gpt.h"
#include "support/small_problem.h"

using namespace trellis;

namespace {

struct Small {
  ModelSpec model;
  std::shared_ptr<const Prices> prices = test::plain_prices();
  Oracle oracle;
  Problem problem;

  Small(int blocks, SpaceOptions space)
      : model(test::small_gpt(blocks)),
        oracle(model, test::dimensions(), test::op_library(), Dtype::f32, prices),
        problem(make_problem(model, test::dimensions(), space)) {}

  std::optional<Plan> solve(const std::string& name, const std::string& options = "{}") const {
    SearchLog log;
    return test::search(name)->solve(problem, oracle, Options::from_text(options, "search"), log);
  }
  Picoseconds step(const Plan& plan) const { return oracle.step(plan).step; }
};

}  // namespace

TEST_CASE("the choices of a problem are stages x orders of atoms x micro-batches x schedules") {
  const ModelSpec model = test::small_gpt(2);
  const Problem problem =
      make_problem(model, test::dimensions(), {.batch = 8, .devices = 4, .budget = 1_GiB, .micro_batches = {1, 4}});
  // 1 stage: one schedule; 2 and 4 stages: gpipe and 1f1b each.
  CHECK(problem.choices.size() == 2 + 4 + 4);
  CHECK_THROWS_WITH_AS(make_problem(model, test::dimensions(), {.batch = 8, .devices = 4, .stages = {3}}),
                       doctest::Contains("a divisor of 4 devices"), Error);
}

TEST_CASE("no search beats exhaustive, and dynamic programming comes within a quarter of it, whatever the budget") {
  const SpaceOptions space{.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1, 2}};
  Small small(1, space);
  test::thin_out(small.problem, 5);
  const auto least = least_memory(small.problem, small.oracle);
  REQUIRE(least);
  for (const double factor : {1.1, 1.5, 3.0, 100.0}) {
    CAPTURE(factor);
    small.problem.budget = scaled(least->budget, factor);
    const auto best = small.solve("exhaustive"), dp = small.solve("dynamic_programming"),
               uniform = small.solve("uniform");
    REQUIRE(best);
    REQUIRE(dp);
    CHECK(objection(small.problem, *dp, small.oracle.step(*dp)).empty());
    CHECK(small.step(*dp) >= small.step(*best));
    CHECK(ratio(small.step(*dp), small.step(*best)) < 1.25);
    if (uniform) CHECK(small.step(*uniform) >= small.step(*best));
  }
}

TEST_CASE("where devices have different budgets no search overdraws a stage's own") {
  Small small(2, {.batch = 8, .devices = 4, .budget = 1_GiB, .micro_batches = {1, 4}, .stages = {2, 4}});
  test::thin_out(small.problem, 12);
  const Bytes least = least_memory(small.problem, small.oracle)->budget;
  for (const auto& shares : {std::vector{3.0, 1.2, 1.3, 2.0}, {1.2, 1.3, 3.0, 3.0}, {2.0, 2.0, 1.05, 1.0}}) {
    small.problem.budgets.clear();
    for (const double share : shares) small.problem.budgets.push_back(scaled(least, share));
    small.problem.budget = std::ranges::min(small.problem.budgets);
    const auto best = small.solve("exhaustive");
    REQUIRE(best);
    for (const std::string name : {"exhaustive", "exact", "dynamic_programming", "uniform"}) {
      CAPTURE(name);
      const auto plan = small.solve(name);
      if (!plan) continue;
      CHECK(objection(small.problem, *plan, small.oracle.step(*plan)).empty());
      CHECK(small.step(*plan) >= small.step(*best));
      if (name == "exact") CHECK(small.step(*plan) == small.step(*best));
    }
  }
}

TEST_CASE("a list of budgets is of as many devices as there are; equal ones are one budget") {
  const ModelSpec model = test::small_gpt(1);
  const auto problem = [&](std::vector<Bytes> budgets) {
    return make_problem(model, test::dimensions(),
                        {.batch = 8, .devices = 2, .budget = 1_GiB, .budgets = std::move(budgets), .micro_batches = {1}});
  };
  CHECK(problem({2_GiB, 2_GiB}).budget == 2_GiB);
  CHECK(problem({2_GiB, 2_GiB}).budgets.empty());
  CHECK(problem({2_GiB, 1_GiB}).budget == 1_GiB);
  CHECK(problem({2_GiB, 1_GiB}).budgets.size() == 2);
  CHECK_THROWS_WITH_AS(problem({1_GiB, 2_GiB, 3_GiB}), doctest::Contains("budgets of 3 devices, and 2 devices"), Error);
}

TEST_CASE("where nothing fits no search returns a plan") {
  Small small(1, {.batch = 8, .devices = 2, .budget = 64_KiB, .micro_batches = {1}});
  test::thin_out(small.problem, 8);
  for (const std::string name : {"exhaustive", "dynamic_programming", "uniform"}) CHECK_FALSE(small.solve(name));
}

TEST_CASE("exhaustive refuses a problem that is too large, and says how large it is") {
  Small small(12, {.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1}});
  CHECK_THROWS_WITH_AS(small.solve("exhaustive"), doctest::Contains("more than the limit of 100000"), Error);
}

TEST_CASE("unknown options of a search are rejected") {
  Small small(1, {.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1}});
  CHECK_THROWS_WITH_AS(small.solve("dynamic_programming", "cels: 3"), doctest::Contains("cells"), Error);
}

TEST_CASE("a plan outside the space, or over budget, is objected to") {
  Small small(1, {.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1}});
  Plan plan = *small.solve("dynamic_programming");
  PlanCost cost = small.oracle.step(plan);
  CHECK(objection(small.problem, plan, cost).empty());
  small.problem.budget = 64_KiB;
  CHECK(objection(small.problem, plan, cost).find("the budget is") != std::string::npos);
  plan.micro_batches = 3;
  CHECK(objection(small.problem, plan, cost).find("not among the choices") != std::string::npos);
}

TEST_CASE("a tight budget makes layers recompute or split, and a wide one does not") {
  Small small(6, {.batch = 64, .devices = 4, .budget = 1_GiB, .micro_batches = {1}, .stages = {1}});
  const auto wide = small.solve("dynamic_programming");
  small.problem.budget = scaled(least_memory(small.problem, small.oracle)->budget, 1.05);
  const auto tight = small.solve("dynamic_programming");
  REQUIRE(wide);
  REQUIRE(tight);
  const auto recomputing = [](const Plan& plan) {
    return std::ranges::count_if(plan.layers, [](const Strategy& s) { return s.contains("ckpt"); });
  };
  CHECK(recomputing(*wide) < recomputing(*tight));
}

TEST_CASE("a search that is told to stop ends with the best plan that it has, or with none") {
  const Small small(2, {.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1, 2}});
  for (const std::string name : {"exact", "dynamic_programming", "uniform"}) {
    CAPTURE(name);
    for (const int questions : {0, 20, 1'000'000}) {
      CAPTURE(questions);
      SearchLog log;
      std::atomic<int> asked{0};
      log.stopped = [&] { return ++asked > questions; };
      std::optional<Picoseconds> known;
      log.known = [&](const SearchState& state) {
        if (!state.step) return;
        CHECK(state.memory > 0_B);
        if (known) CHECK(*state.step <= *known);
        known = state.step;
      };
      const auto plan = test::search(name)->solve(small.problem, small.oracle, Options::empty(), log);
      CHECK(asked > 0);
      if (questions == 0) CHECK_FALSE(plan);
      if (questions == 1'000'000) CHECK(plan);
      if (!plan) continue;
      CHECK(objection(small.problem, *plan, small.oracle.step(*plan)).empty());
      CHECK(known);
    }
  }
}

TEST_CASE("exact that is stopped has a true bound") {
  const Small small(1, {.batch = 8, .devices = 2, .budget = 1_GiB, .micro_batches = {1, 2}});
  const auto solve = [&](int questions) {
    SearchLog log;
    std::atomic<int> asked{0};
    log.stopped = [&] { return ++asked > questions; };
    (void)test::search("exact")->solve(small.problem, small.oracle, Options::empty(), log);
    return log;
  };
  const SearchLog whole = solve(1 << 30);
  REQUIRE(whole.status == "optimal, proven");
  for (const int questions : {5, 20, 60, 200}) {
    const SearchLog cut = solve(questions);
    if (cut.lower_bound) CHECK(*cut.lower_bound <= *whole.lower_bound * (1 + 1e-9));
    else CHECK(cut.status == "nothing found");
  }
}
