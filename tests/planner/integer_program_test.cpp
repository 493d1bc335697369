// The search `exact` against an integer program of the same stage, solved by CBC: too large to try all plans.
#include <doctest/doctest.h>

#include "planner/additive_stage.h"
#include "planner/cbc.h"

using namespace trellis;
using test::AdditiveStage;
using test::IntegerProgram;

namespace {

// How many layers of each kind have each option.
IntegerProgram by_counts(const AdditiveStage& stage) {
  IntegerProgram program;
  test::Constraint memory{.terms = {}, .relation = "<=", .right = stage.problem.budget.value};
  for (int k = 0; k < stage.kinds(); ++k) {
    std::int64_t layers = 0;
    for (int i = 0; i < stage.layers(); ++i) layers += stage.kind(i) == k;
    test::Constraint all{.terms = {}, .relation = "=", .right = layers};
    for (int o = 0; o < stage.options(); ++o) {
      const auto row = stage.row(k, o);
      const std::string n = fmt::format("n_{}_{}", k, o);
      program.minimize.push_back({row.time, n});
      memory.terms.push_back({row.memory, n});
      all.terms.push_back({1, n});
      program.whole[n] = layers;
    }
    program.constraints.push_back(all);
  }
  program.constraints.push_back(memory);
  return program;
}

// Which option each layer has, and between neighbors a flow from options to options that pays for changes.
IntegerProgram by_layers(const AdditiveStage& stage) {
  IntegerProgram program;
  test::Constraint memory{.terms = {}, .relation = "<=", .right = stage.problem.budget.value};
  const auto x = [](int i, int o) { return fmt::format("x_{}_{}", i, o); };
  const auto y = [](int i, int from, int to) { return fmt::format("y_{}_{}_{}", i, from, to); };
  const int options = stage.options();
  for (int i = 0; i < stage.layers(); ++i) {
    test::Constraint one{.terms = {}, .relation = "=", .right = 1};
    for (int o = 0; o < options; ++o) {
      const auto row = stage.row(stage.kind(i), o);
      program.minimize.push_back({row.time, x(i, o)});
      memory.terms.push_back({row.memory, x(i, o)});
      one.terms.push_back({1, x(i, o)});
      program.whole[x(i, o)] = 1;
    }
    program.constraints.push_back(one);
    if (i + 1 == stage.layers()) break;
    for (int o = 0; o < options; ++o) {
      test::Constraint leaves{.terms = {{-1, x(i, o)}}, .relation = "=", .right = 0};
      test::Constraint arrives{.terms = {{-1, x(i + 1, o)}}, .relation = "=", .right = 0};
      for (int other = 0; other < options; ++other) {
        leaves.terms.push_back({1, y(i, o, other)});
        arrives.terms.push_back({1, y(i, other, o)});
        const auto from = stage.row(stage.kind(i), o).layout, to = stage.row(stage.kind(i + 1), other).layout;
        if (from != to) program.minimize.push_back({stage.change(from, to), y(i, o, other)});
      }
      program.constraints.push_back(leaves);
      program.constraints.push_back(arrives);
    }
  }
  program.constraints.push_back(memory);
  return program;
}

// In whole numbers, from the solver's variables: not what it says of its objective.
std::int64_t time_of(const IntegerProgram& program, const std::map<std::string, std::int64_t>& values) {
  const auto sum = [&](const std::vector<test::Term>& terms) {
    std::int64_t total = 0;
    for (const test::Term& t : terms)
      if (const auto found = values.find(t.variable); found != values.end()) total += t.factor * found->second;
    return total;
  };
  for (const test::Constraint& c : program.constraints) {
    if (c.relation == "=") REQUIRE(sum(c.terms) == c.right);
    else REQUIRE(sum(c.terms) <= c.right);
  }
  return sum(program.minimize) + AdditiveStage::kOverhead;
}

// 1: both found the same optimum; 0: both found that nothing fits.
int compare(const AdditiveStage& stage, const IntegerProgram& program) {
  SearchLog log;
  const auto plan = test::search("exact")->solve(stage.problem, stage, Options::empty(), log);
  const auto solution = test::solve_by_cbc(program);
  REQUIRE(plan.has_value() == solution.has_value());
  CHECK(log.status == (plan ? "optimal, proven" : "infeasible, proven"));
  if (!plan) return 0;
  const PlanCost cost = stage.step(*plan);
  CHECK(cost.memory.at(0) <= stage.problem.budget);
  CHECK(cost.step.value == time_of(program, *solution));
  return 1;
}

void require_cbc() {
  REQUIRE_MESSAGE(test::cbc_is_installed(), "cbc is missing: install the Debian package coinor-cbc");
}

}  // namespace

TEST_CASE("exact and an integer program agree on 40 stages of 12 to 28 layers with 4 to 10 options") {
  require_cbc();
  int with_answer = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const int layers = 12 + static_cast<int>(seed * 7 % 17), options = 4 + static_cast<int>(seed * 5 % 7);
    const AdditiveStage stage(seed, 1 + static_cast<int>(seed % 2), layers, options, 1);
    with_answer += compare(stage, by_counts(stage));
  }
  CHECK(with_answer > 35);
}

TEST_CASE("exact and an integer program agree on 20 stages whose layers pay for a change of layout") {
  require_cbc();
  int with_answer = 0;
  for (unsigned seed = 101; seed <= 120; ++seed) {
    CAPTURE(seed);
    const int layers = 12 + static_cast<int>(seed % 5), options = 4 + static_cast<int>(seed % 3);
    const AdditiveStage stage(seed, 1 + static_cast<int>(seed % 2), layers, options, 2 + static_cast<int>(seed % 2));
    with_answer += compare(stage, by_layers(stage));
  }
  CHECK(with_answer > 15);
}
