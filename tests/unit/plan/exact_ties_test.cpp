// Which of the plans that take as long the search `exact` returns.
#include <doctest/doctest.h>

#include <map>

#include "support/made_up.h"
#include "support/plain_costs.h"
#include "support/share_of_problems.h"
#include "support/trying_all.h"

using namespace trellis;
using test::kShare;
using test::MadeUp;
using test::PlainCosts;
using test::Precedence;

namespace {

struct Ties {
  int answers = 0, with_ties = 0, proven = 0, of_several_choices = 0, pipelines = 0, of_several_stages = 0;
};

// The answer of `exact` is the first of the best plans there are.
void check(const Problem& problem, const CostOracle& oracle, Ties& ties) {
  SearchLog log;
  const auto plan = test::search("exact")->solve(problem, oracle, Options::empty(), log);
  const test::First first = test::first_by_trying_all(problem, oracle);
  REQUIRE(plan.has_value() == first.score.has_value());
  if (!plan) return;
  const PlanCost cost = oracle.step(*plan);
  CAPTURE(to_yaml(*plan));
  REQUIRE(score(*plan, cost) == *first.score);
  REQUIRE(problem.fits(choice_of(*plan), cost.memory));
  CHECK(log.status == "optimal, proven");
  const Precedence mine = test::precedence(problem, *plan, cost);
  CHECK(mine.largest == first.tie.largest);
  CHECK(mine.changes == first.tie.changes);
  CHECK(mine.choice == first.tie.choice);
  CHECK(mine.candidates == first.tie.candidates);
  CHECK(mine.ends == first.tie.ends);
  ++ties.answers, ties.with_ties += first.as_fast > 1, ties.proven += log.notes["ties"] == "proven";
  ties.of_several_choices += first.as_fast > 1 && problem.choices.size() > 1;
  ties.pipelines += first.as_fast > 1 && plan->stages.size() > 1;
  ties.of_several_stages += first.stages.size() > 1;
}

}  // namespace

TEST_CASE("of plans that take as long exact finds the smallest, with the fewest changes, and the first") {
  Ties ties;
  for (const int grain : {600, 250, 1800})
    for (unsigned seed = 1; seed <= 1500 / kShare; ++seed) {
      CAPTURE(grain);
      CAPTURE(seed);
      const MadeUp made(seed, grain);
      check(made.problem, made, ties);
    }
  MESSAGE(ties.answers << " answers, " << ties.with_ties << " with ties, " << ties.of_several_choices
                       << " of several choices, " << ties.pipelines << " pipelines");
  CHECK(ties.proven == ties.answers);
  CHECK(ties.with_ties > static_cast<int>(600 / kShare));
  CHECK(ties.of_several_choices > static_cast<int>(300 / kShare));
  CHECK(ties.pipelines > static_cast<int>(100 / kShare));
}

TEST_CASE("so it does with pipelines of few layers a stage") {
  Ties ties;
  for (unsigned seed = 1; seed <= 250 / kShare; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 700, MadeUp::Shape::deep);
    check(made.problem, made, ties);
  }
  MESSAGE(ties.answers << " answers, " << ties.with_ties << " with ties, " << ties.pipelines << " pipelines");
  CHECK(ties.proven == ties.answers);
  CHECK(ties.pipelines > static_cast<int>(50 / kShare));
}

TEST_CASE("so it does where plans with different numbers of stages take as long") {
  Ties ties;
  for (const int grain : {1800, 600})
    for (unsigned seed = 1; seed <= 1000 / kShare; ++seed) {
      CAPTURE(grain);
      CAPTURE(seed);
      const MadeUp made(seed, grain, MadeUp::Shape::level);
      check(made.problem, made, ties);
    }
  MESSAGE(ties.answers << " answers, " << ties.with_ties << " with ties, " << ties.of_several_stages
                       << " of several numbers of stages");
  CHECK(ties.proven == ties.answers);
  CHECK(ties.of_several_stages > static_cast<int>(400 / kShare));
}

namespace {

struct Answer {
  int stages = 0;
  std::vector<std::int64_t> candidates;
  std::vector<int> ends;
  bool operator==(const Answer&) const = default;
};

Answer answer(const PlainCosts& costs) {
  SearchLog log;
  const auto plan = test::search("exact")->solve(costs.problem, costs, Options::empty(), log);
  REQUIRE(plan);
  CHECK(log.status == "optimal, proven");
  CHECK(log.notes["ties"] == "proven");
  const Precedence mine = test::precedence(costs.problem, *plan, costs.step(*plan));
  return {static_cast<int>(plan->stages.size()), mine.candidates, mine.ends};
}

}  // namespace

TEST_CASE("equal layers that cannot all be fast are, side by side, the lower candidate first") {
  // 420 bytes are three layers of 100 and three of 40.
  const PlainCosts fast_first({{{10, 100}, {20, 40}}}, {0, 0, 0, 0, 0, 0}, {1}, 420);
  CHECK(answer(fast_first) == Answer{1, {0, 0, 0, 1, 1, 1}, {5}});
  const PlainCosts slow_first({{{20, 40}, {10, 100}}}, {0, 0, 0, 0, 0, 0}, {1}, 420);
  CHECK(answer(slow_first) == Answer{1, {0, 0, 0, 1, 1, 1}, {5}});
}

TEST_CASE("a neighbor that can have one strategy alone makes equal layers begin with the other one") {
  // The last layer has the strategy of candidate 0 alone: 110 0 is one change, 011 0 two.
  const PlainCosts costs({{{10, 100}, {20, 40}}, {{10, 100}}}, {0, 0, 0, 1}, {1}, 100 + 2 * 40 + 100);
  CHECK(answer(costs) == Answer{1, {1, 1, 0, 0}, {3}});
}

TEST_CASE("of cuts into different numbers of stages the one whose largest stage is smallest is taken") {
  const std::vector<std::vector<PlainCosts::Option>> kinds{{{10, 100}}};
  CHECK(answer(PlainCosts(kinds, {0, 0, 0, 0, 0, 0}, {1, 2, 3}, 1000)) == Answer{3, {0, 0, 0, 0, 0, 0}, {1, 3, 5}});
}

TEST_CASE("of cuts into different numbers of stages with one large layer the first choice is taken, and early ends") {
  const std::vector<std::vector<PlainCosts::Option>> kinds{{{10, 100}}, {{10, 600}}};
  CHECK(answer(PlainCosts(kinds, {0, 0, 0, 1}, {1, 2, 3}, 1000)) == Answer{2, {0, 0, 0, 0}, {2, 3}});
  CHECK(answer(PlainCosts(kinds, {0, 0, 0, 1}, {3, 1, 2}, 1000)) == Answer{3, {0, 0, 0, 0}, {0, 2, 3}});
}

TEST_CASE("candidates that cost the same are the lower ones, unless the other is one change less") {
  CHECK(answer(PlainCosts({{{10, 50}, {10, 50}}}, {0, 0, 0}, {1}, 1000)) == Answer{1, {0, 0, 0}, {2}});
  // Candidate 1 is the strategy that the last layer needs for its 5 ps.
  CHECK(answer(PlainCosts({{{10, 50}, {10, 50}}, {{10, 50}, {5, 50}}}, {0, 0, 1}, {1}, 1000)) == Answer{1, {1, 1, 1}, {2}});
}

TEST_CASE("many equal layers and few changes: the first of thousands of plans") {
  // 24 layers of which 11 can be fast: 2.5 million orders.
  const PlainCosts costs({{{10, 100}, {20, 40}}}, std::vector<int>(24, 0), {1}, 11 * 100 + 13 * 40);
  std::vector<std::int64_t> first(24, 1);
  std::fill_n(first.begin(), 11, 0);
  CHECK(answer(costs) == Answer{1, first, {23}});
}

TEST_CASE("ties that were not settled to the end are said to be local, and nothing else changes") {
  int local = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 600);
    SearchLog log, whole;
    const auto plan =
        test::search("exact")->solve(made.problem, made, Options::from_text("limit: {labels: 60}", "search"), log);
    if (!plan || log.status != "optimal, proven") continue;
    const auto best = test::search("exact")->solve(made.problem, made, Options::empty(), whole);
    REQUIRE(best);
    CHECK(score(*plan, made.step(*plan)) == score(*best, made.step(*best)));
    CHECK(log.lower_bound == whole.lower_bound);
    if (log.notes["ties"] == "proven") CHECK(plan == best);
    else ++local;
  }
  CHECK(local > 0);
}

TEST_CASE("no other option of a layer, and no other order of a stage's equal layers, is as fast and comes before") {
  for (unsigned seed = 1; seed <= 600; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 600);
    SearchLog log;
    const auto plan = test::search("exact")->solve(made.problem, made, Options::empty(), log);
    if (!plan) continue;
    const PlanCost cost = made.step(*plan);
    const Precedence tie = test::precedence(made.problem, *plan, cost);
    const auto check = [&](const Plan& other) {
      const PlanCost other_cost = made.step(other);
      if (other_cost.step != cost.step || !made.problem.fits(choice_of(other), other_cost.memory)) return;
      const Precedence other_tie = test::precedence(made.problem, other, other_cost);
      CAPTURE(to_yaml(*plan));
      CAPTURE(to_yaml(other));
      CHECK(other_tie >= tie);
    };
    for (std::size_t i = 0; i < plan->layers.size(); ++i) {
      for (const Candidate& c : made.problem.candidates(static_cast<int>(i), choice_of(*plan))) {
        Plan other = *plan;
        other.layers[i] = c.strategy;
        check(other);
      }
    }
    for (const GlobalChoice& choice : made.problem.choices) {
      if (choice.batch != plan->batch || choice.micro_batches != plan->micro_batches ||
          choice.stages != static_cast<int>(plan->stages.size()))
        continue;
      Plan other = *plan;
      other.schedule = choice.schedule;
      check(other);
    }
  }
}
