// Which of the plans that take as long the search `exact` returns.
#include <doctest/doctest.h>

#include <map>

#include "support/made_up.h"
#include "support/trying_all.h"

using namespace trellis;
using test::MadeUp;
using test::Precedence;

namespace {

struct Best {
  std::optional<Score> score;
  Precedence tie;
  int as_fast = 0;
};

// Of the plans that `which` accepts.
template <class Which>
Best by_trying_all(const MadeUp& made, Which&& which) {
  Best best;
  test::for_all_plans(made.problem, made, [&](const Plan& plan, const PlanCost& cost, const auto&) {
    if (!which(plan)) return;
    const Score mine = score(plan, cost);
    if (best.score && mine > *best.score) return;
    Precedence tie = test::precedence(made.problem, plan, cost);
    if (!best.score || mine < *best.score) best = {.score = mine, .tie = tie, .as_fast = 0};
    ++best.as_fast;
    if (tie < best.tie) best.tie = std::move(tie);
  });
  return best;
}

}  // namespace

TEST_CASE("of plans that take as long exact finds the smallest, with the fewest changes, and the first, mostly") {
  int answers = 0;
  struct Among {
    int with_ties = 0, smallest = 0, first = 0;
  };
  Among same_cut, same_choice, all;
  for (unsigned seed = 1; seed <= 1500; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 600);
    SearchLog log;
    const auto plan = test::search("exact")->solve(made.problem, made, Options::empty(), log);
    const Best best = by_trying_all(made, [](const Plan&) { return true; });
    REQUIRE(plan.has_value() == best.score.has_value());
    if (!plan) continue;
    ++answers;
    const PlanCost cost = made.step(*plan);
    REQUIRE(score(*plan, cost) == *best.score);
    REQUIRE(made.problem.fits(choice_of(*plan), cost.memory));
    CHECK(log.status == "optimal, proven");
    const Precedence mine = test::precedence(made.problem, *plan, cost);
    const auto count = [&](auto& among, const Best& found) {
      if (found.as_fast < 2) return;
      REQUIRE(mine >= found.tie);
      ++among.with_ties, among.smallest += mine.largest == found.tie.largest, among.first += mine == found.tie;
    };
    const auto is_choice = [&](const Plan& other) { return choice_of(other) == choice_of(*plan); };
    count(all, best);
    count(same_choice, by_trying_all(made, is_choice));
    count(same_cut, by_trying_all(made, [&](const Plan& p) { return is_choice(p) && p.stages == plan->stages; }));
  }
  for (const Among* among : {&same_cut, &same_choice, &all})
    MESSAGE(answers << " answers, " << among->with_ties << " with ties, " << among->smallest << " smallest, " << among->first << " first");
  CHECK(same_cut.with_ties > 50);
  CHECK(same_cut.smallest > 0.9 * same_cut.with_ties);
  CHECK(same_choice.smallest > 0.85 * same_choice.with_ties);
  CHECK(all.smallest > 0.5 * all.with_ties);  // other numbers of stages and of micro-batches are not tried
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
