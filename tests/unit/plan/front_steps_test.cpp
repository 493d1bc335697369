#include "plan/whatif/front_steps.h"

#include <doctest/doctest.h>

#include "support/front_by_trying_all.h"
#include "support/small_problem.h"

using namespace trellis;
using test::Small;

namespace {

using Point = test::FrontByTrying;

std::vector<Point> front_by_trying_all(const Small& small) {
  return test::front_by_trying_all(small.problem, small.oracle);
}

FrontSteps steps_at(Small& small, Bytes budget, const Solver& solver, const StepLimits& limits = {}) {
  small.problem.budget = budget;
  const auto price = price_of_memory(small.problem, small.oracle, small.solver(), small.solver()(small.problem));
  REQUIRE(price);
  return front_steps(small.problem, small.oracle, solver, *price, limits);
}

Answer not_asked() {
  Answer none;
  none.log.status = "not asked: stopped";
  return none;
}

}  // namespace

TEST_CASE("the neighbors of a budget's point are those of the whole front by trying all plans") {
  for (const std::vector<int>& stages : {std::vector<int>{}, std::vector<int>{2}}) {
    Small small(1, 5, stages);
    const std::vector<Point> front = front_by_trying_all(small);
    CHECK(front.size() == (stages.empty() ? 20u : 2u));
    for (std::size_t i = 0; i < front.size(); ++i) {
      // Just what the point needs, and all up to the next one.
      for (const Bytes budget : {front[i].needs, i > 0 ? front[i - 1].needs - 1_B : 1_GiB}) {
        CAPTURE(i);
        CAPTURE(budget.value);
        const FrontSteps steps = steps_at(small, budget, small.solver());
        CHECK(steps.is_point);
        CHECK(steps.here.needs == front[i].needs);
        CHECK(steps.here.answer.score() == front[i].score);
        CHECK(steps.below.is_proven);
        CHECK(steps.below.point.has_value() == (i + 1 < front.size()));
        if (steps.below.point) {
          CHECK(steps.below.point->needs == front[i + 1].needs);
          CHECK(steps.below.point->answer.score() == front[i + 1].score);
        }
        CHECK(steps.above.is_proven);
        CHECK(steps.above.point.has_value() == (i > 0));
        if (steps.above.point) {
          CHECK(steps.above.point->needs == front[i - 1].needs);
          CHECK(steps.above.point->answer.score() == front[i - 1].score);
          CHECK(steps.nothing_faster_in == front[i - 1].needs - 1_B);
        }
        CHECK(steps.solved <= 24);
      }
    }
  }
}

TEST_CASE("the slopes to both neighbors are those of the staircase, in figures") {
  Small small(1, 5, {1});
  const std::vector<Point> front = front_by_trying_all(small);
  REQUIRE(front.size() > 4);
  const FrontSteps steps = steps_at(small, front[2].needs, small.solver());
  CHECK(steps.below.point->needs == 1426304_B);
  CHECK(steps.here.needs == 1544000_B);
  CHECK(steps.above.point->needs == 2689088_B);
  CHECK(steps.below.point->answer.cost.step == 356651552_ps);
  CHECK(steps.here.answer.cost.step == 253338144_ps);
  CHECK(steps.above.point->answer.cost.step == 245618976_ps);
  // 103.3 us for 117,696 bytes; 7.7 us for 1,145,088 bytes
  CHECK(MemoryPrice::slope(*steps.below.point, steps.here) == doctest::Approx(0.942529).epsilon(1e-5));
  CHECK(MemoryPrice::slope(steps.here, *steps.above.point) == doctest::Approx(0.00723822).epsilon(1e-5));
}

TEST_CASE("a plan that is as fast with fewer bytes takes the place of the one at hand") {
  Small small(1, 5);
  const std::vector<Point> front = front_by_trying_all(small);
  const MemoryOnly memory(small.oracle);  // all plans are as fast
  const Solver solver = [&](const Problem& asked) { return Small::solve(asked, memory); };
  MemoryPrice price;
  price.unlimited = solver(small.problem);
  Answer large = small.solver()(small.problem);
  large.cost = memory.step(*large.plan), large.log = price.unlimited.log;
  CHECK(large.memory() == front.front().needs);
  price.here = {.asked = 1_GiB, .needs = large.memory(), .answer = large};
  const FrontSteps steps = front_steps(small.problem, memory, solver, price, {});
  CHECK(steps.is_point);
  CHECK(steps.here.needs == front.back().needs);
  CHECK(steps.here.asked == 1_GiB);
  CHECK_FALSE(steps.below.point);
  CHECK(steps.below.is_proven);
  CHECK_FALSE(steps.above.point);
  CHECK(steps.above.is_proven);
}

TEST_CASE("neighbors that the limits leave no time for are not proven, and what is known of them is told") {
  Small small(1, 5);
  const std::vector<Point> front = front_by_trying_all(small);
  const std::size_t middle = front.size() / 2;
  SUBCASE("no solve") {
    int asked = 0;
    const Solver counting = [&](const Problem& problem) { return ++asked, small.solver()(problem); };
    for (const StepLimits& limits : {StepLimits{.solves = 0}, StepLimits{.seconds = 0}}) {
      const FrontSteps steps = steps_at(small, front[middle].needs, counting, limits);
      CHECK(steps.solved == 0);
      CHECK_FALSE(steps.is_point);
      CHECK_FALSE(steps.below.is_proven);
      CHECK_FALSE(steps.above.is_proven);
      REQUIRE(steps.above.point);  // of the price over 5 %, or one layer away
      CHECK(steps.above.point->answer.score() < front[middle].score);
      CHECK(steps.nothing_faster_in == front[middle].needs);
    }
    CHECK(asked == 0);
  }
  SUBCASE("answers that prove nothing") {
    const Solver vague = [&](const Problem& problem) {
      Answer answer = small.solver()(problem);
      answer.log.status = "within 1 %, proven";
      return answer;
    };
    const FrontSteps steps = steps_at(small, front[middle].needs, vague);
    CHECK_FALSE(steps.is_point);
    CHECK_FALSE(steps.below.is_proven);
    CHECK_FALSE(steps.above.is_proven);
    CHECK(steps.nothing_faster_in == front[middle].needs);
  }
  SUBCASE("a signal") {
    const FrontSteps steps = steps_at(small, front[middle].needs, [](const Problem&) { return not_asked(); });
    CHECK(steps.solved <= 2);
    CHECK_FALSE(steps.is_point);
    CHECK_FALSE(steps.below.is_proven);
    CHECK_FALSE(steps.above.is_proven);
    REQUIRE(steps.below.point);  // a plan that is known
    CHECK(steps.below.point->needs < front[middle].needs);
    CHECK(steps.below.point->answer.score() >= front[middle + 1].score);
  }
}

TEST_CASE("next to a plan that is not proven to be the best nothing is proven") {
  Small small(1, 5);
  const std::vector<Point> front = front_by_trying_all(small);
  small.problem.budget = front[1].needs;
  auto price = price_of_memory(small.problem, small.oracle, small.solver(), small.solver()(small.problem));
  price->here.answer.log.status = "within 2 %, proven";
  const FrontSteps steps = front_steps(small.problem, small.oracle, small.solver(), *price, {});
  CHECK_FALSE(steps.is_point);
  CHECK_FALSE(steps.below.is_proven);
  CHECK_FALSE(steps.above.is_proven);
  CHECK(steps.nothing_faster_in == 0_B);
}
