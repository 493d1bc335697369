#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <random>

#include "cases.h"
#include "pipeline.h"
#include "pipeline_problem.h"

namespace trellis::galvatron {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// All mixes of a stage that fit.
void all_mixes(const Stage& stage, std::size_t item, int left, std::vector<int>& counts, std::vector<Mix>& into) {
  if (item + 1 == stage.items.size()) {
    counts[item] = left;
    if (Mix mix = mix_of(stage, counts); mix.memory <= stage.budget) into.push_back(std::move(mix));
    return;
  }
  for (int count = 0; count <= left; ++count) {
    counts[item] = count;
    all_mixes(stage, item + 1, left - count, counts, into);
  }
}

double least_by_trying(const PipelineProblem& problem, std::size_t stage, std::vector<Mix>& chosen) {
  if (stage == problem.stages.size()) return time_of(problem, chosen);
  std::vector<Mix> mixes;
  std::vector<int> counts(problem.stages[stage].items.size(), 0);
  all_mixes(problem.stages[stage], 0, problem.stages[stage].layers, counts, mixes);
  double least = kInfinite;
  for (Mix& mix : mixes) {
    chosen.push_back(std::move(mix));
    least = std::min(least, least_by_trying(problem, stage + 1, chosen));
    chosen.pop_back();
  }
  return least;
}

// `exposed`: how long gradient reductions are, in times of a layer.
PipelineProblem random_problem(std::mt19937& random, double exposed) {
  const auto whole = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  const auto real = [&](double least, double most) {
    return std::uniform_real_distribution<double>(least, most)(random);
  };
  const int stages = whole(1, 3), items = whole(1, stages == 1 ? 6 : 4);
  PipelineProblem problem;
  problem.micro_batches = whole(stages, stages + 5);
  std::vector<Item> base;
  for (int s = 0; s < items; ++s) {
    const double computed = real(1, 3);
    base.push_back({real(5, 15), computed, computed + real(0, 1) * real(0, 1) * exposed});
  }
  for (int i = 0; i < stages; ++i) {
    Stage stage{base, whole(1, stages == 3 ? 3 : 5), 0};
    for (Item& item : stage.items) item.memory += (stages - i) * (4 - item.computed);  // activations in flight
    stage.budget = stage.layers * real(7, 20);
    problem.stages.push_back(stage);
    problem.vocabulary.push_back(i == 0 || i + 1 == stages ? real(0, 4) : 0);
  }
  return problem;
}

TEST_CASE("the best filling of a pipeline is that of trying all, on 1500 random problems") {
  std::mt19937 random(11);
  int solvable = 0, by_stages[4] = {0, 0, 0, 0};
  for (int i = 0; i < 1500; ++i) {
    // Every third one has reductions that outlast computation: there less computation may take more time.
    const PipelineProblem problem = random_problem(random, i % 3 == 0 ? 40 : 1);
    std::vector<Mix> chosen;
    const double expected = least_by_trying(problem, 0, chosen);
    const PipelineBounds bounds(problem);
    Effort effort{1'000'000};
    const PipelineSolution found = solve(problem, bounds, kInfinite, effort);
    REQUIRE(found.complete);
    REQUIRE(found.best.has_value() == (expected < kInfinite));
    if (!found.best) continue;
    ++solvable;
    ++by_stages[problem.stages.size()];
    INFO("problem ", i);
    REQUIRE(found.best->time == doctest::Approx(expected).epsilon(1e-12));
    REQUIRE(time_of(problem, found.best->mixes) == found.best->time);
    REQUIRE(bounds.lower_bound(problem) <= expected * (1 + 1e-12));
    for (std::size_t s = 0; s < problem.stages.size(); ++s) {
      REQUIRE(found.best->mixes[s].memory <= problem.stages[s].budget + 1e-9);
      REQUIRE(std::accumulate(found.best->mixes[s].counts.begin(), found.best->mixes[s].counts.end(), 0) ==
              problem.stages[s].layers);
    }
  }
  CHECK(solvable > 700);
  CHECK(by_stages[1] > 150);
  CHECK(by_stages[2] > 150);
  CHECK(by_stages[3] > 100);
}

TEST_CASE("the reference's formula falls where a middle stage computes more") {
  CHECK(pipeline_time({10, 1, 1}, {10, 1, 31}, 8) == doctest::Approx(99));
  CHECK(pipeline_time({10, 2, 1}, {10, 1, 31}, 8) == doctest::Approx(98));
}

TEST_CASE("the pipeline formula with one stage is micro-batches times computation, and what is exposed") {
  CHECK(pipeline_time({2}, {3.5}, 4) == doctest::Approx(4 * 2 + 1.5));
  CHECK(pipeline_time({2}, {1}, 4) == doctest::Approx(8));
  CHECK(pipeline_time({1, 3}, {0, 0}, 4) == doctest::Approx(1 + 3 + 3 * 3));  // the last stage is the bottleneck
  CHECK(pipeline_time({3, 1}, {0, 0}, 4) == doctest::Approx(3 + 3 * 3));      // the first one is
}

// One stage: 28 layers, 24 strategies, budgets from 12 to 32 GiB.
TEST_CASE("stages of 28 layers and 24 strategies are solved for 41 budgets, each proven") {
  const Case c(kFixture, {"micro_batches=8"});
  const Task task{64, 8, 1, TpSp::tp_with_sp, 8};
  const Space space = restrict(make_space(c.settings), task, c.settings);
  CHECK(space.layers.size() == 24);
  PipelineProblem problem{{{{}, 28, 0}}, {0.18}, 8};
  for (const Layout& layout : space.layers) {
    const LayerTime time = c.costs().layer_time(layout, task);
    problem.stages[0].items.push_back({c.costs().layer_memory(layout, task, 0).total(), time.no_sync, time.sync});
  }
  const PipelineBounds bounds(problem);
  double before = kInfinite;
  std::vector<double> times;
  for (int half = 24; half <= 64; ++half) {
    problem.stages[0].budget = half * 512.0;
    Effort effort{5'000'000};
    const auto start = std::chrono::steady_clock::now();
    const PipelineSolution found = solve(problem, bounds, kInfinite, effort);
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    REQUIRE(found.complete);
    if (!found.best) continue;
    CHECK(found.best->time <= before);  // more memory is never worse
    before = found.best->time;
  }
  std::sort(times.begin(), times.end());
  MESSAGE("median ", times[times.size() / 2] * 1e3, " ms, worst ", times.back() * 1e3, " ms");
}

TEST_CASE("the fixture's best is 2.6621 samples a second, half a percent above the reference's answer") {
  const Case c(kFixture);
  const SearchOutcome exact = search_exactly(c.costs());
  REQUIRE(exact.best);
  CHECK(exact.proven);
  CHECK(exact.best->throughput() == doctest::Approx(2.66208756).epsilon(1e-7));
  CHECK(*exact.bound * 64 == doctest::Approx(exact.best->step).epsilon(1e-12));
}

}  // namespace
}  // namespace trellis::galvatron
