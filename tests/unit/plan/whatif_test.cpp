#include "trellis/plan/whatif.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/small_gpt.h"
#include "support/small_problem.h"
#include "support/trying_all.h"

using namespace trellis;

namespace {

using Priced = std::pair<Plan, PlanCost>;

using test::Small;

std::string refusal(std::string_view sweep) {
  try {
    parse_sweep(sweep);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::usage);
    return error.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a sweep is a list, a range that doubles, a range with a step, or a front of memory") {
  CHECK(parse_sweep("gpus=8,32,16,8").values == std::vector<std::int64_t>{8, 16, 32});
  CHECK(parse_sweep("batch=32..256").values == std::vector<std::int64_t>{32, 64, 128, 256});
  CHECK(parse_sweep("sequence=1024..2500:512").values == std::vector<std::int64_t>{1024, 1536, 2048});
  CHECK(parse_sweep("batch=1,8..10:1").values == std::vector<std::int64_t>{1, 8, 9, 10});
  const Sweep front = parse_sweep("memory=16GiB..80GiB");
  CHECK(front.is_front);
  CHECK(front.values == std::vector<std::int64_t>{(16_GiB).value, (80_GiB).value});
  CHECK_FALSE(parse_sweep("memory=16GiB..32GiB:8GiB").is_front);
  CHECK(parse_sweep("memory=16GiB..32GiB:8GiB").values.size() == 3);
}

TEST_CASE("a sweep that says nothing sensible is refused, and why") {
  CHECK(refusal("memroy=1GiB").find("found 'memroy'") != std::string::npos);
  CHECK(refusal("gpus").find("no values are given") != std::string::npos);
  CHECK(refusal("gpus=").find("no values are given") != std::string::npos);
  CHECK(refusal("gpus=8..").find("expected a whole number, found ''") != std::string::npos);
  CHECK(refusal("gpus=a").find("expected a whole number, found 'a'") != std::string::npos);
  CHECK(refusal("batch=0").find("expected more than 0") != std::string::npos);
  CHECK(refusal("batch=8..4").find("ends before it begins") != std::string::npos);
  CHECK(refusal("batch=1..100000:1").find("more than 1000 values") != std::string::npos);
  CHECK(refusal("batch=1..8:0").find("expected more than 0") != std::string::npos);
  CHECK(refusal("memory=16..80").find("16") != std::string::npos);
  CHECK(refusal("memory=1GiB..2GiB,4GiB").find("stands alone") != std::string::npos);
}

TEST_CASE("layers of one type with one strategy are a group, wherever they are") {
  const ModelSpec model = test::small_gpt(4);
  Plan plan = test::uniform(model, {2}, {});
  plan.layers[2] = plan.layers[4] = test::strategy("ckpt: full");
  const std::vector<StrategyGroup> groups = strategy_groups(plan, model);
  REQUIRE(groups.size() == 4);
  CHECK(groups[1].range() == "1,3");
  CHECK(groups[2].range() == "2,4");
  Plan swapped = plan;
  std::swap(swapped.layers[1], swapped.layers[2]);
  CHECK(same_mix(plan, swapped, model));
  swapped.layers[1] = {};
  CHECK_FALSE(same_mix(plan, swapped, model));
  swapped = plan, swapped.micro_batches = 2;
  CHECK_FALSE(same_mix(plan, swapped, model));
}

TEST_CASE("the front has the best plan of every budget") {
  const Small small(1, 5);
  const MemoryFront front = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 1000);
  REQUIRE(front.points.size() > 3);
  CHECK_FALSE(front.is_cut);
  CHECK(front.is_proven);
  REQUIRE(front.below);
  CHECK_FALSE(small.best(front.points.back().needs - 1_B));
  for (std::size_t i = 0; i < front.points.size(); ++i) {
    CAPTURE(i);
    const FrontPoint& point = front.points[i];
    CHECK(small.best(point.needs) == point.answer.score());
    CHECK(small.best(point.asked) == point.answer.score());
    if (i == 0) continue;
    CHECK(front.points[i - 1].answer.score() < point.answer.score());
    CHECK(point.asked < front.points[i - 1].needs);
  }
}

TEST_CASE("a front of few points is cut, and ends at its lower budget") {
  const Small small(1, 5);
  const MemoryFront two = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 2);
  CHECK(two.points.size() == 2);
  CHECK(two.is_cut);
  const MemoryFront one = memory_front(small.problem, small.oracle, small.solver(), two.points[0].needs, 1_GiB, 100);
  CHECK(one.points.size() == 1);
  CHECK_FALSE(one.is_cut);
  CHECK_FALSE(one.below);
}

TEST_CASE("a front of few points has both ends and is spread between them; each point is the best of its budgets") {
  const Small small(1, 5);
  const MemoryFront all = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 1000);
  const MemoryFront few = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 4);
  REQUIRE(all.points.size() > 5);
  REQUIRE(few.points.size() == 4);
  CHECK(few.is_cut);
  CHECK(few.points.front().answer.score() == all.points.front().answer.score());
  const Bytes least = all.points.back().needs;  // the lower end is found up to a 64th
  CHECK(few.points.back().needs - least <= Bytes{least.value / 32});
  const auto largest_gain = [](const std::vector<FrontPoint>& points) {
    double most = 0;
    for (std::size_t i = 1; i < points.size(); ++i)
      most = std::max(most, to_seconds(points[i].answer.cost.step - points[i - 1].answer.cost.step));
    return most;
  };
  const double range = to_seconds(all.points.back().answer.cost.step - all.points.front().answer.cost.step);
  CHECK(largest_gain(few.points) < std::max(0.75 * range, 1.01 * largest_gain(all.points)));
  for (const FrontPoint& point : few.points) {
    CHECK(small.best(point.needs) == point.answer.score());
    CHECK(small.best(point.asked) == point.answer.score());
  }
}

TEST_CASE("the price of memory is the slope to plans with at least 5 % less and more of it") {
  Small small(1, 5);
  const MemoryFront front = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 1000);
  REQUIRE(front.points.size() > 3);
  small.problem.budget = front.points[front.points.size() / 2].asked;
  const auto price = price_of_memory(small.problem, small.oracle, small.solver(), small.solver()(small.problem));
  REQUIRE(price);
  const Bytes here = price->here.needs, apart{here.value / 20};
  CHECK(price->here.answer.score() == small.best(small.problem.budget));
  REQUIRE(price->less);
  CHECK(price->less->needs <= here - apart);
  CHECK(price->less->answer.score() == small.best(here - apart));
  REQUIRE(price->more);
  CHECK(price->more->needs >= here + apart);
  CHECK(price->more->answer.score() < price->here.answer.score());
  CHECK(price->more->answer.score() == small.best(price->more->needs));
  CHECK(price->unlimited.score() == front.points[0].answer.score());
  const double gib =
      static_cast<double>((price->here.needs - price->less->needs).value) / static_cast<double>((1_GiB).value);
  CHECK(MemoryPrice::slope(*price->less, price->here) ==
        doctest::Approx(to_seconds(price->less->answer.cost.step - price->here.answer.cost.step) / gib));

  small.problem.budget = 1_GiB;
  const auto ample = price_of_memory(small.problem, small.oracle, small.solver(), small.solver()(small.problem));
  CHECK_FALSE(ample->more);
  CHECK(ample->more_is_next);
}

TEST_CASE("without a strategy no layer has it, under whatever name") {
  const Small small(2, 1);
  const Plan plan = *small.solver()(small.problem).plan;
  const Problem without = without_strategy(small.problem, small.oracle, {1, 2}, plan.layers[1]);
  for (const GlobalChoice& choice : without.choices) {
    const auto forbidden = place(plan.layers[1], *small.model.layers[1], DeviceLine{choice.atoms}, test::dimensions());
    for (const Candidate& c : without.candidates(1, choice)) CHECK(c.placement != forbidden.placement);
    CHECK(&without.candidates(1, choice) == &without.candidates(2, choice));
    CHECK(&without.candidates(0, choice) == &small.problem.candidates(0, choice));
  }
}

TEST_CASE("runner-ups are the best plans without the plan's strategies, without its choice, with another mix") {
  for (const double factor : {1.05, 1.4, 100.0}) {
    CAPTURE(factor);
    Small small(2, 7, {1});
    const auto least = least_memory(small.problem, small.oracle);
    small.problem.budget = scaled(least->budget, factor);
    const Answer best = small.solver()(small.problem);
    REQUIRE(best.plan);
    const WhatIf result = what_if(small.problem, small.oracle, small.solver(), *best.plan);
    CHECK(result.outside.empty());
    CHECK(result.best.score() == best.score());
    for (const GroupRunnerUp& group : result.groups) {
      std::vector<int> layers;
      for (std::size_t i = 0; i < small.model.layers.size(); ++i)
        if (small.model.layers[i].get() == group.group.type) layers.push_back(static_cast<int>(i));
      const auto expected = test::by_trying_all(
          without_strategy(small.problem, small.oracle, layers, group.group.strategy), small.oracle);
      REQUIRE(group.answer.plan.has_value() == expected.has_value());
      if (expected) CHECK(group.answer.score() == *expected);
    }
    Problem other = small.problem;
    std::erase_if(other.choices, [&](const GlobalChoice& c) { return c.micro_batches == best.plan->micro_batches; });
    const auto expected = test::by_trying_all(other, small.oracle);
    REQUIRE(result.other_choice.plan.has_value() == expected.has_value());
    if (expected) CHECK(result.other_choice.score() == *expected);
    if (!result.other_mix.plan) continue;
    CHECK_FALSE(same_mix(*best.plan, *result.other_mix.plan, small.model));
    CHECK(result.other_mix.plan->micro_batches == best.plan->micro_batches);
    CHECK(result.other_mix.score() >= best.score());
  }
}

TEST_CASE("where every type has one strategy the other mix is proven: no layer can be changed for less") {
  const Small small(2, 7, {1});
  const Answer best = small.solver()(small.problem);
  REQUIRE(strategy_groups(*best.plan, small.model).size() == 3);
  const WhatIf result = what_if(small.problem, small.oracle, small.solver(), *best.plan);
  REQUIRE(result.other_mix.plan);
  CHECK(result.other_mix.log.status == "optimal, proven");
  std::optional<Score> expected;
  for (int layer = 0; layer < 4; ++layer) {
    Problem own =
        without_strategy(small.problem, small.oracle, {layer}, best.plan->layers[static_cast<std::size_t>(layer)]);
    std::erase_if(own.choices, [&](const GlobalChoice& c) { return c.micro_batches != best.plan->micro_batches; });
    const auto one = test::by_trying_all(own, small.oracle);
    if (one && (!expected || *one < *expected)) expected = one;
  }
  CHECK(result.other_mix.score() == *expected);
}

TEST_CASE("the best plan is the best of all answers, with the best bound of all") {
  const Small small(2, 7, {1});
  const Answer best = small.solver()(small.problem);
  const std::size_t choices = small.problem.choices.size();
  const Priced worse = one_layer_changes(small.problem, small.oracle, *best.plan).back();
  REQUIRE(score(worse.first, worse.second) > best.score());
  // Asked for the whole space it has no better plan than that to begin with, and no bound.
  const Solver lazy = [&](const Problem& asked) {
    Answer answer = small.solver()(asked);
    if (asked.choices.size() == choices && asked.start == worse.first) {
      answer.plan = worse.first, answer.cost = worse.second;
      answer.log.status = "feasible", answer.log.lower_bound.reset();
    }
    return answer;
  };
  const WhatIf result = what_if(small.problem, small.oracle, lazy, worse.first);
  REQUIRE(result.best.plan);
  CHECK(result.best.score() == best.score());
  CHECK(result.best.cost.step == best.cost.step);
  CHECK(result.best.reached == to_seconds(best.cost.step));
  CHECK(result.best.log.status == "optimal, proven");
}

TEST_CASE("a plan from outside of the space is compared with what there is in it") {
  const Small small(1, 5);
  Plan plan = test::uniform(small.model, {2}, {});
  plan.batch = 16, plan.micro_batches = 2;  // not in the list
  const WhatIf result = what_if(small.problem, small.oracle, small.solver(), plan);
  CHECK(result.outside.find("not among the choices") != std::string::npos);
  CHECK(result.best.plan);
  CHECK_FALSE(result.other_mix.plan);
}

TEST_CASE("stages near their budget are named, the fullest first") {
  Problem problem;
  problem.budget = 100_B;
  Plan plan{.atoms = {}, .stages = {{0, 0}, {1, 1}, {2, 2}}};
  const PlanCost cost{.memory = {97_B, 50_B, 99_B}};
  CHECK(full_stages(problem, plan, cost) == std::vector<int>{2, 0});
  CHECK(full_stages(problem, plan, cost, 1.0).empty());
}

TEST_CASE("of stages with different budgets those near their own are named") {
  Problem problem;
  problem.budget = 50_B, problem.budgets = {100_B, 200_B, 50_B, 60_B};
  Plan plan{.atoms = {2}, .stages = {{0, 0}, {1, 1}}};
  CHECK(problem.stage_budget(choice_of(plan), 0) == 100_B);
  CHECK(problem.stage_budget(choice_of(plan), 1) == 50_B);
  CHECK(full_stages(problem, plan, {.memory = {90_B, 49_B}}) == std::vector<int>{1});
  CHECK(problem.fits(choice_of(plan), {100_B, 50_B}));
  CHECK_FALSE(problem.fits(choice_of(plan), {50_B, 100_B}));
  const Room room = least_room(problem, choice_of(plan), {90_B, 52_B});
  CHECK(room.stage == 1);
  CHECK(room.bytes == Bytes{0} - 2_B);
}

TEST_CASE("where nothing fits in different budgets, what each lacks is told; a price of memory is not") {
  Small small(2, 7, {2});
  const Answer ample = small.solver()(small.problem);
  REQUIRE(ample.plan);
  const Bytes least = least_memory(small.problem, small.oracle)->budget;
  small.problem.budgets = {scaled(least, 0.9), scaled(least, 0.5)};
  small.problem.budget = scaled(least, 0.5);
  CHECK_FALSE(price_of_memory(small.problem, small.oracle, small.solver(), ample));
  const MemoryOnly memory(small.oracle);
  const Solver solver = [&](const Problem& asked) { return Small::solve(asked, memory); };
  const OtherProblems none{.with_batch = [](std::int64_t) { return std::optional<Problem>(); },
                           .with_devices = [](int) { return std::optional<Problem>(); }};
  const auto missing = shortage(small.problem, small.oracle, solver, none, 60);
  REQUIRE(missing);
  CHECK(missing->is_least);
  CHECK(missing->lacks > 0_B);
  CHECK(missing->vain < missing->lacks);
  Problem more = small.problem;
  more.budget += missing->lacks;
  for (Bytes& budget : more.budgets) budget += missing->lacks;
  CHECK(more.fits(choice_of(missing->plan), missing->cost.memory));
  CHECK(missing->needs == missing->lacks + small.problem.stage_budget(choice_of(missing->plan), missing->stage));
}

TEST_CASE("where nothing fits the least that would is found, and what else would fit") {
  Small small(1, 5);
  const MemoryFront front = memory_front(small.problem, small.oracle, small.solver(), 1_KiB, 1_GiB, 1000);
  const Bytes least = front.points.back().needs;
  small.problem.budget = least - 64_KiB;
  const MemoryOnly memory(small.oracle);
  const Solver solver = [&](const Problem& asked) { return Small::solve(asked, memory); };
  std::vector<std::int64_t> batches;
  std::vector<int> devices;
  const OtherProblems others{.with_batch =
                                 [&](std::int64_t batch) {
                                   batches.push_back(batch);
                                   Problem other = small.problem;
                                   if (batch <= 4) other.budget = 1_GiB;
                                   return std::optional(other);
                                 },
                             .with_devices =
                                 [&](int count) {
                                   devices.push_back(count);
                                   return std::optional<Problem>();
                                 },
                             .most_devices = 8};
  const auto missing = shortage(small.problem, small.oracle, solver, others, 60);
  REQUIRE(missing);
  CHECK(missing->is_least);
  CHECK(missing->needs >= least);
  CHECK(missing->needs - least <= std::max(16_KiB, Bytes{small.problem.budget.value / 100}));
  CHECK(missing->lacks == missing->needs - small.problem.budget);
  CHECK(small.problem.budget + missing->vain < least);
  CHECK(missing->cost.memory[static_cast<std::size_t>(missing->stage)] == missing->needs);
  CHECK(missing->cost.step > 1_us);  // by the real costs
  CHECK(missing->batch == 4);
  CHECK(batches == std::vector<std::int64_t>{1, 1, 8, 4});  // whether any does, then the largest
  CHECK_FALSE(missing->devices);
  CHECK(devices == std::vector<int>{4, 8});
}

TEST_CASE("where no time is left no question of what would fit is begun, and a plan that needs little is told") {
  Small small(1, 5);
  const Bytes least = least_memory(small.problem, small.oracle)->budget;
  small.problem.budget = scaled(least, 0.5);
  int solves = 0, problems = 0;
  const Solver counting = [&](const Problem&) { return ++solves, Answer(); };
  const OtherProblems others{.with_batch = [&](std::int64_t) { return ++problems, std::optional(small.problem); },
                             .with_devices = [&](int) { return ++problems, std::optional(small.problem); },
                             .most_devices = 8};
  const auto missing = shortage(small.problem, small.oracle, counting, others, 0);
  REQUIRE(missing);
  CHECK(solves == 0);
  CHECK(problems <= 2);
  CHECK_FALSE(missing->is_least);
  CHECK(missing->vain == 0_B);
  CHECK(missing->lacks > 0_B);
  CHECK_FALSE(missing->batch);
  CHECK_FALSE(missing->devices);
}

TEST_CASE("with a smallest batch that does not fit no larger one is asked for") {
  Small small(1, 5);
  small.problem.budget = scaled(least_memory(small.problem, small.oracle)->budget, 0.5);
  const MemoryOnly memory(small.oracle);
  const Solver solver = [&](const Problem& asked) { return Small::solve(asked, memory); };
  std::vector<std::int64_t> batches;
  const OtherProblems others{.with_batch =
                                 [&](std::int64_t batch) {
                                   batches.push_back(batch);
                                   return batch == 1 ? std::nullopt : std::optional(small.problem);
                                 },
                             .with_devices = [](int) { return std::optional<Problem>(); }};
  const auto missing = shortage(small.problem, small.oracle, solver, others, 60);
  REQUIRE(missing);
  CHECK_FALSE(missing->batch);
  CHECK(batches == std::vector<std::int64_t>{1, 2, 2});  // 1 is no batch of the space
}

TEST_CASE("a search that finds nothing in its time leaves a plan that needs little, and the least is not proven") {
  Small small(1, 5);
  const Bytes least = least_memory(small.problem, small.oracle)->budget;
  small.problem.budget = scaled(least, 0.5);
  const Solver vain = [](const Problem&) {
    Answer answer;
    answer.log.status = "nothing found";
    return answer;
  };
  const OtherProblems none{.with_batch = [](std::int64_t) { return std::optional<Problem>(); },
                           .with_devices = [](int) { return std::optional<Problem>(); }};
  const auto missing = shortage(small.problem, small.oracle, vain, none, 60);
  REQUIRE(missing);
  CHECK_FALSE(missing->is_least);
  CHECK(missing->needs <= least);
  CHECK(missing->lacks == missing->needs - small.problem.budget);
  Problem more = small.problem;
  more.budget += missing->lacks;
  CHECK(objection(more, missing->plan, missing->cost).empty());
}
