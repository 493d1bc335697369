// Which of the plans that take as long the search `exact` returns.
#include <doctest/doctest.h>

#include <map>

#include "support/made_up.h"
#include "support/trying_all.h"

using namespace trellis;
using test::MadeUp;
using test::Precedence;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kShare = 5;
#else
constexpr unsigned kShare = 1;
#endif

struct Ties {
  int answers = 0, with_ties = 0, proven = 0, of_several_choices = 0, pipelines = 0;
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
