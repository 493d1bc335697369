// The front of one search over all budgets, against trying all plans.
#include <doctest/doctest.h>

#include "support/front_by_trying_all.h"
#include "support/made_up.h"
#include "support/share_of_problems.h"
#include "support/small_problem.h"
#include "trellis/plan/front_search.h"

using namespace trellis;
using test::FrontByTrying;
using test::kShare;
using test::MadeUp;
using test::Small;

namespace {

constexpr Bytes kAll{std::int64_t{1} << 50};

FoundFront front_of(Problem problem, const CostOracle& oracle, const BudgetRange& range, const Options& options = Options::empty()) {
  static const auto exact = test::search("exact");
  problem.budgets.clear(), problem.budget = 0_B;
  SearchLog log;
  const void* extension = exact->extension(kFrontSearch);
  REQUIRE(extension);
  return static_cast<const FrontSearch*>(extension)->solve_front(problem, oracle, range, options, log);
}

double reached(const Problem& problem, const Plan& plan, const PlanCost& cost) {
  for (const GlobalChoice& choice : problem.choices)
    if (choice.batch != plan.batch) return score(plan, cost).seconds_per_sample();
  return to_seconds(cost.step);
}

// Every point of the range, and each at the budgets that it is for.
void check(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const FoundFront& found) {
  std::vector<FrontByTrying> all = test::front_by_trying_all(problem, oracle);
  std::erase_if(all, [&](const FrontByTrying& p) { return p.needs > range.to; });
  Bytes end = range.to;
  std::size_t next = 0;
  for (const FrontByTrying& point : all) {
    if (end < range.from) break;
    CAPTURE(next);
    REQUIRE(next < found.points.size());
    const FoundPoint& mine = found.points[next++];
    const PlanCost cost = oracle.step(mine.plan);
    REQUIRE(score(mine.plan, cost) == point.score);
    CHECK(*std::ranges::max_element(cost.memory) == point.needs);
    CHECK(mine.asked == end);
    CHECK(mine.status == "optimal, proven");
    CHECK(mine.lower_bound == doctest::Approx(reached(problem, mine.plan, cost)).epsilon(1e-9));
    end = point.needs - 1_B;
  }
  CHECK(found.points.size() == next);
  CHECK(found.nothing_below_proven);
}

}  // namespace

TEST_CASE("the front of one search is that of trying all on 1500 problems with made-up costs") {
  std::size_t points = 0, several = 0, pipelines = 0;
  for (unsigned seed = 1; seed <= 1500 / kShare; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    const FoundFront found = front_of(made.problem, made, {1_B, kAll});
    check(made.problem, made, {1_B, kAll}, found);
    points += found.points.size(), several += found.points.size() > 3;
    for (const FoundPoint& point : found.points) pipelines += point.plan.stages.size() > 1;
  }
  MESSAGE(points << " points");
  CHECK(points > 5000 / kShare);
  CHECK(several > 500 / kShare);
  CHECK(pipelines > 500 / kShare);
}

TEST_CASE("the front of one search is that of trying all on pipelines of few layers a stage") {
  for (unsigned seed = 1; seed <= 100 / kShare; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed, 1, MadeUp::Shape::deep);
    check(made.problem, made, {1_B, kAll}, front_of(made.problem, made, {1_B, kAll}));
  }
}

TEST_CASE("of real programs a range has the points that are the best of some budget in it") {
  for (const std::vector<int>& stages : {std::vector<int>{}, std::vector<int>{2}}) {
    const Small small(1, 5, stages);
    const std::vector<FrontByTrying> all = test::front_by_trying_all(small.problem, small.oracle);
    REQUIRE(all.size() >= 2);
    const std::vector<BudgetRange> ranges = {{1_B, 1_GiB},
                                             {all[1].needs, all[0].needs},           // ends on points
                                             {all[1].needs + 1_B, all[0].needs - 1_B},  // one of them is best all over
                                             {1_B, all.back().needs - 1_B}};        // none fits
    const std::vector<std::size_t> expected = {all.size(), 2, 1, 0};
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      CAPTURE(r);
      const FoundFront found = front_of(small.problem, small.oracle, ranges[r]);
      CHECK(found.points.size() == expected[r]);
      check(small.problem, small.oracle, ranges[r], found);
    }
  }
}

TEST_CASE("under a limit of labels a front is the same each time, and its bounds hold") {
  std::size_t unproven = 0;
  for (unsigned seed = 1; seed <= 200 / kShare; ++seed) {
    CAPTURE(seed);
    const MadeUp made(seed);
    const std::vector<FrontByTrying> all = test::front_by_trying_all(made.problem, made);
    const Options options = Options::from_text("limit: {labels: 3}", "limit");
    const FoundFront found = front_of(made.problem, made, {1_B, kAll}, options);
    const FoundFront again = front_of(made.problem, made, {1_B, kAll}, options);
    REQUIRE(found.points.size() == again.points.size());
    for (std::size_t i = 0; i < found.points.size(); ++i) {
      CAPTURE(i);
      const FoundPoint& mine = found.points[i];
      CHECK(to_yaml(mine.plan) == to_yaml(again.points[i].plan));
      CHECK(mine.lower_bound == again.points[i].lower_bound);
      CHECK(mine.status == again.points[i].status);
      const PlanCost cost = made.step(mine.plan);
      CHECK(*std::ranges::max_element(cost.memory) <= mine.asked);
      // The best of its largest budget.
      const auto best = std::ranges::find_if(all, [&](const FrontByTrying& p) { return p.needs <= mine.asked; });
      REQUIRE(best != all.end());
      CHECK(score(mine.plan, cost) >= best->score);
      const double here = reached(made.problem, mine.plan, cost);
      CHECK(mine.lower_bound <= here * best->score.seconds_per_sample() / score(mine.plan, cost).seconds_per_sample() * (1 + 1e-9));
      if (mine.status == "optimal, proven") CHECK(score(mine.plan, cost) == best->score);
      else ++unproven;
    }
  }
  CHECK(unproven > 0);
}

TEST_CASE("a plan to begin with is part of a front where it is the best, and of none where it is not in the space") {
  Small small(1, 5);
  const FoundFront front = front_of(small.problem, small.oracle, {1_B, 1_GiB});
  REQUIRE(front.points.size() > 3);
  small.problem.start = front.points[2].plan;
  check(small.problem, small.oracle, {1_B, 1_GiB}, front_of(small.problem, small.oracle, {1_B, 1_GiB}));
  small.problem.start->micro_batches = 7;
  check(small.problem, small.oracle, {1_B, 1_GiB}, front_of(small.problem, small.oracle, {1_B, 1_GiB}));
}

TEST_CASE("a stopped search for a front tells what it has") {
  const Small small(1, 5);
  Problem problem = small.problem;
  SearchLog log;
  int asked = 0;
  log.stopped = [&] { return ++asked > 3; };
  const auto exact = test::search("exact");
  const auto* front = static_cast<const FrontSearch*>(exact->extension(kFrontSearch));
  const FoundFront found = front->solve_front(problem, small.oracle, {1_B, 1_GiB}, Options::empty(), log);
  REQUIRE_FALSE(found.points.empty());
  CHECK(found.points.front().status != "optimal, proven");
}

TEST_CASE("points spread over a front have its ends, and between them what differs most") {
  std::vector<FrontPoint> points;
  for (const std::int64_t step : {100, 101, 102, 150, 200, 201, 400}) {
    FrontPoint point{.asked = Bytes{1000 - step}, .needs = Bytes{1000 - step}, .answer = {}};
    point.answer.plan = Plan{}, point.answer.plan->batch = 1, point.answer.cost.step = Picoseconds{step};
    points.push_back(std::move(point));
  }
  const auto steps = [&](std::size_t most) {
    std::vector<std::int64_t> found;
    for (const FrontPoint& point : spread_over(points, most)) found.push_back(point.answer.cost.step.value);
    return found;
  };
  CHECK(steps(1) == std::vector<std::int64_t>{100});
  CHECK(steps(2) == std::vector<std::int64_t>{100, 400});
  CHECK(steps(3) == std::vector<std::int64_t>{100, 200, 400});
  CHECK(steps(4) == std::vector<std::int64_t>{100, 150, 200, 400});
  CHECK(steps(7).size() == 7);
  CHECK(steps(50).size() == 7);
}
