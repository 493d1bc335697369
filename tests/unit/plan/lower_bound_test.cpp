// The bound that a search gives is one: no plan of the space is better, however early the search had to stop.
#include <doctest/doctest.h>

#include <numeric>

#include "support/made_up.h"
#include "support/trying_all.h"

using namespace trellis;

namespace {

// As SearchLog::lower_bound counts: seconds a step; with several batches, seconds a sample.
double bounded(const Problem& problem, const Score& score) {
  for (const GlobalChoice& choice : problem.choices)
    if (choice.batch != problem.choices.front().batch) return score.seconds_per_sample();
  return to_seconds(score.step);
}

}  // namespace

TEST_CASE(
    "under any limit of labels the lower bound is not above the optimum, and the status says how far the plan is") {
  int stopped = 0, with_answer = 0;
  std::vector<unsigned> seeds(600);
  std::iota(seeds.begin(), seeds.end(), 1001);
  // Where bounds that were not rounded down as the step is were above the optimum, by some picoseconds.
  seeds.insert(seeds.end(), {2315, 4965, 5671, 5803, 7695, 8358, 8765, 10193, 10203});
  for (const unsigned seed : seeds) {
    CAPTURE(seed);
    const test::MadeUp made(seed);
    const std::optional<Score> best = test::by_trying_all(made.problem, made);
    for (const int labels : {1, 2, 5, 20, 100}) {
      CAPTURE(labels);
      SearchLog log;
      const auto plan = test::search("exact")->solve(
          made.problem, made, Options::from_text(fmt::format("limit: {{labels: {}}}", labels), "search"), log);
      if (!plan) {
        CHECK(log.status == (best ? "nothing found" : log.status));
        continue;
      }
      REQUIRE(best);
      REQUIRE(log.lower_bound);
      const PlanCost cost = made.step(*plan);
      CHECK(made.problem.fits(choice_of(*plan), cost.memory));
      REQUIRE(*log.lower_bound <= bounded(made.problem, *best) * (1 + 1e-12));
      REQUIRE(bounded(made.problem, score(*plan, cost)) >= bounded(made.problem, *best));
      const bool proven = log.status == "optimal, proven";
      if (proven) CHECK(score(*plan, cost) == *best);
      else CHECK(log.status.starts_with("within "));
      ++with_answer, stopped += !proven;
    }
  }
  CHECK(with_answer > 1500);
  CHECK(stopped > 50);
}
