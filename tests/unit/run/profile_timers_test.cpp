#include <doctest/doctest.h>

#include <cmath>
#include <mutex>
#include <set>

#include "run/profile/kernel_timer.h"
#include "run/profile/layer_timer.h"
#include "run/profile/link_timer.h"
#include "run/profile/profiler.h"
#include "run/profile/rank_team.h"
#include "support/small_gpt.h"
#include "trellis/plan/error.h"

using namespace trellis;

TEST_CASE("a fit of times finds latency and bandwidth") {
  std::vector<std::pair<Bytes, double>> times;
  for (const std::int64_t bytes : {0, 1000, 100'000, 10'000'000})
    times.emplace_back(Bytes{bytes}, 50e-6 + static_cast<double>(bytes) / 2e9);
  const Link link = profile::fit(times);
  CHECK(static_cast<double>(link.latency.value) == doctest::Approx(50e6).epsilon(0.001));
  CHECK(link.bandwidth == doctest::Approx(2e9).epsilon(0.001));
}

TEST_CASE("times that fall with size are a latency without bandwidth, not a negative rate") {
  const Link link = profile::fit({{Bytes{1000}, 2e-3}, {Bytes{1'000'000}, 1e-3}});
  CHECK(link.latency.value > 0);
  CHECK(link.time(Bytes{1'000'000}).value < 3'000'000'000);
}

TEST_CASE("a time that something interrupted does not pull a fit away") {
  std::vector<std::pair<Bytes, double>> times;
  for (const std::int64_t bytes : {1000, 10'000, 100'000, 1'000'000, 10'000'000})
    times.emplace_back(Bytes{bytes}, 50e-6 + static_cast<double>(bytes) / 2e9);
  times[2].second *= 5;
  const Link link = profile::fit(times);
  CHECK(static_cast<double>(link.latency.value) == doctest::Approx(50e6).epsilon(0.05));
  CHECK(link.bandwidth == doctest::Approx(2e9).epsilon(0.05));
}

TEST_CASE("too few points, or a time that is none, are no fit") {
  CHECK_THROWS_WITH_AS(profile::fit({{Bytes{1000}, 1e-3}}), doctest::Contains("two sizes"), Error);
  CHECK_THROWS_WITH_AS(profile::fit({{Bytes{1000}, 1e-3}, {Bytes{1000}, 2e-3}}), doctest::Contains("two sizes"), Error);
  for (const double time : {0.0, -1e-3, std::nan(""), HUGE_VAL})
    CHECK_THROWS_WITH_AS(profile::fit({{Bytes{1000}, 1e-3}, {Bytes{2000}, time}}), doctest::Contains("more than 0"), Error);
}

TEST_CASE("the typical time of a call leaves out those that were interrupted") {
  CHECK(profile::typical({1, 1, 2, 50}) == doctest::Approx(4.0 / 3));
  CHECK(profile::typical({}) == 0);
}

TEST_CASE("a layer's program gives a time to each of its kernels, on whatever share of a layer a rank has") {
  const ModelSpec model = test::small_gpt(1);
  const auto ops = test::op_library();
  const Problem problem =
      make_problem(model, test::dimensions(), {.batch = 4, .devices = 4, .budget = 1_GiB, .micro_batches = {1}});
  const KernelLibrary kernels;
  std::set<std::string> wanted;
  profile::LayerTimes times;
  for (const Measurement& m : measurements(problem, *ops, Dtype::f32)) {
    wanted.insert(m.key);
    if (times.kernels.contains(m.key)) continue;
    CAPTURE(m.key);
    profile::LayerTimer timer(m, kernels, *ops, at::Device(at::kCPU), true);
    for (int run = 0; run < 2; ++run) CHECK(timer.run(times) > 0);
  }
  for (const std::string& key : wanted) {
    CAPTURE(key);
    REQUIRE(times.kernels.contains(key));
    CHECK(profile::typical(times.kernels[key]) > 0);
  }
  CHECK(times.moves.empty());  // there was nobody to communicate with
  CHECK(profile::typical(times.passes) > 0);
}

TEST_CASE("ranks that run a layer together find what its collectives take") {
  const ModelSpec model = test::small_gpt(1);
  const auto ops = test::op_library();
  const Problem problem =
      make_problem(model, test::dimensions(), {.batch = 4, .devices = 2, .budget = 1_GiB, .micro_batches = {1}});
  const KernelLibrary kernels;
  const std::vector<Measurement> all = measurements(problem, *ops, Dtype::f32);
  std::mutex mutex;
  std::set<MoveKind> found;
  run_threads(2, false, [&](CommWorld& world) {
    profile::LayerTimes times;
    for (const Measurement& m : all) {
      if (times.kernels.contains(m.key)) continue;
      profile::LayerTimer timer(m, kernels, *ops, at::Device(at::kCPU), true, &world);
      timer.run(times);
    }
    const std::lock_guard lock(mutex);
    for (const auto& [what, list] : times.moves) {
      const auto& [kind, ranks, bytes] = what;
      found.insert(kind);
      CHECK(ranks == 2);
      CHECK(bytes > 0_B);
      for (const double seconds : list) CHECK(seconds > 0);
    }
  });
  for (const MoveKind kind : {MoveKind::all_gather, MoveKind::all_reduce, MoveKind::reduce_scatter, MoveKind::all_to_all})
    CHECK(found.contains(kind));
}

TEST_CASE("times of sizes rise: where they do not, the sizes concerned share their mean") {
  const TimedSizes sizes = profile::rising({{1_B, 1e-6}, {2_B, 4e-6}, {3_B, 2e-6}, {4_B, 3e-6}, {5_B, 7e-6}});
  CHECK(sizes == TimedSizes{{1_B, 1_us}, {2_B, 3_us}, {3_B, 3_us}, {4_B, 3_us}, {5_B, 7_us}});
}

TEST_CASE("a mean has all calls in it") {
  CHECK(profile::mean({1, 1, 2, 52}) == 14);
  CHECK(profile::mean({}) == 0);
}

TEST_CASE("a time is told for the pace of the profile: what took a second beside a slower one took less") {
  profile::RankTeam team(2, 1, true);
  const auto second = [] { return 1.0; };
  team.set_pace(1e-9);  // of a processor much faster than any
  CHECK(team.mean_time(second) < 1e-3);
  team.set_pace(1e3);  // and much slower
  CHECK(team.mean_time(second) > 1);
}

TEST_CASE("a team that was told no pace finds the usual one of the moment; on a device there is none") {
  profile::RankTeam team(1, 1, true);
  team.find_pace();
  CHECK(team.pace() > 1e-5);
  CHECK(team.pace() < 1);
  profile::RankTeam device(1, 1, false);
  device.find_pace();
  CHECK(device.pace() == 0);
  CHECK(device.mean_time([] { return 2.0; }) == 2);
}

TEST_CASE("the middle of rounds is their median, the upper one of two") {
  CHECK(profile::middle({3, 1, 2}) == 2);
  CHECK(profile::middle({1, 2}) == 2);
}

TEST_CASE("a figure is the mean of its rounds, and their standard deviation") {
  CHECK(profile::figure_of({2.0}).spread == 0);
  const profile::Figure figure = profile::figure_of({0.9, 1.0, 1.1});
  CHECK(figure.seconds == doctest::Approx(1));
  CHECK(figure.spread == doctest::Approx(0.1));
}

TEST_CASE("every kernel that some candidate runs can be timed on one device") {
  const ModelSpec model = test::small_gpt(1);
  const auto ops = test::op_library();
  const Problem problem =
      make_problem(model, test::dimensions(), {.batch = 4, .devices = 4, .budget = 1_GiB, .micro_batches = {1}});
  const std::vector<Measurement> all = measurements(problem, *ops, Dtype::f32);
  CHECK(all.size() > 50);
  const KernelLibrary kernels;
  for (const Measurement& m : all) {
    CAPTURE(m.key);
    profile::KernelCall call(m, kernels, at::Device(at::kCPU));
    CHECK_NOTHROW(call.run());
    CHECK(call.bytes() > 0_B);
  }
}

TEST_CASE("a step of a search is estimated nowhere once its kernels and links are measured") {
  const ModelSpec model = test::small_gpt(1);
  const auto ops = test::op_library();
  const Problem problem =
      make_problem(model, test::dimensions(), {.batch = 4, .devices = 2, .budget = 1_GiB, .micro_batches = {1}});
  Profile profile;
  for (const Measurement& m : measurements(problem, *ops, Dtype::f32)) profile.compute[m.key] = 1_us;
  for (const MoveKind kind : {MoveKind::all_gather, MoveKind::all_to_all, MoveKind::all_reduce,
                              MoveKind::reduce_scatter, MoveKind::send_recv})
    profile.links.push_back({kind, 2, false, {1_us, 1e9}});
  const auto prices = std::make_shared<const Prices>(test::plain_cluster(), profile, ops);
  const Oracle oracle(model, test::dimensions(), ops, Dtype::f32, prices);
  SearchLog log;
  REQUIRE(test::search("dynamic_programming")->solve(problem, oracle, Options::empty(), log));
  CHECK(prices->estimated().empty());
}
