#include "trellis/plan/prediction.h"

#include <doctest/doctest.h>

#include <cmath>

#include "support/small_gpt.h"
#include "trellis/plan/error.h"
#include "trellis/plan/run_file.h"

using namespace trellis;

namespace {

std::string profile_text(const std::string& rest) {
  return "apiVersion: trellis/v1\nkind: Profile\nmachine:\n  device: \"d\"\n" + rest;
}

std::string complaint_about(const std::string& rest) {
  try {
    read_profile(Options::from_text(profile_text(rest), "profile.yaml"));
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

Profile complete_profile(const Problem& problem, const std::shared_ptr<const OpLibrary>& ops) {
  Profile profile;
  profile.machine = {{"device", "d"}};
  for (const Measurement& m : measurements(problem, *ops, Dtype::f32)) profile.compute[m.key] = 100_us;
  for (const MoveKind kind : {MoveKind::all_gather, MoveKind::all_to_all, MoveKind::all_reduce,
                              MoveKind::reduce_scatter, MoveKind::send_recv})
    profile.links.push_back({kind, 2, false, {10_us, 1e9}});
  profile.copy_bandwidth = 1e10, profile.launch = 1_us, profile.adamw = 1_ms, profile.norm = 200_us;
  profile.spread = 0.02;
  return profile;
}

}  // namespace

TEST_CASE("a profile's slowdown is of two things that go on at once: 1 to 2") {
  Profile profile;
  profile.machine = {{"device", "a"}};
  profile.slowdown = 1.5;
  CHECK(read_profile(Options::from_text(to_yaml(profile), "profile")).slowdown == 1.5);
  for (const double slowdown : {0.5, 3.0}) {
    profile.slowdown = slowdown;
    CHECK_THROWS_WITH_AS(read_profile(Options::from_text(to_yaml(profile), "profile")), doctest::Contains("expected 1 to 2"), Error);
  }
}

TEST_CASE("a budget less the least margin holds the upper end of what fits into it") {
  for (const std::int64_t budget : {10'000LL, 1'000'000LL, 40'000'000LL, 80'000'000'000LL}) {
    const Bytes fits = scaled(Bytes{budget}, 1 - least_margin(Bytes{budget}));
    const Bytes upper = fits + scaled(fits, 0.01) + Bytes{4096};
    CHECK(upper <= Bytes{budget});
    CHECK(upper + Bytes{3} >= Bytes{budget});
  }
  CHECK(least_margin(Bytes{80'000'000'000}) == doctest::Approx(0.0099).epsilon(0.001));
  CHECK(least_margin(Bytes{1}) == 0.5);
}

TEST_CASE("between measured sizes a transfer's time is interpolated, beyond them the outermost two go on") {
  const LinkFit fit{.kind = MoveKind::all_gather,
                    .ranks = 2,
                    .link = {1_s, 1.0},
                    .points = {{1000_B, 100_us}, {2000_B, 120_us}, {4000_B, 200_us}}};
  CHECK(fit.time(10_B) == 100_us);
  CHECK(fit.time(1000_B) == 100_us);
  CHECK(fit.time(1500_B) == 110_us);
  CHECK(fit.time(3000_B) == 160_us);
  CHECK(fit.time(8000_B) == 360_us);
}

TEST_CASE("what a measurement says about itself is how far a figure may be off; an estimate is off by half, too") {
  CHECK(uncertainty(Basis::measured, 0.02) == doctest::Approx(0.02));
  CHECK(uncertainty(Basis::interpolated, 0.03) == doctest::Approx(0.03));
  CHECK(uncertainty(Basis::estimated, 0) == doctest::Approx(0.5));
  CHECK(uncertainty(Basis::estimated, 7) < 1);
}

TEST_CASE("sizes around a size tell how far interpolation may be off there") {
  const TimedSizes straight{{1_KiB, 10_us}, {2_KiB, 20_us}, {3_KiB, 30_us}};
  const TimedSizes bent{{1_KiB, 10_us}, {2_KiB, 25_us}, {3_KiB, 30_us}, {4_KiB, 35_us}, {5_KiB, 40_us}};
  CHECK(interpolation_error({{1_KiB, 10_us}, {2_KiB, 20_us}}, 1500_B) == 0);
  CHECK(interpolation_error(straight, 1500_B) == doctest::Approx(0));
  CHECK(interpolation_error(bent, 2_KiB) == 0);      // measured
  CHECK(interpolation_error(bent, 100_B) == 0);      // fixed time
  CHECK(interpolation_error(bent, 1536_B) == doctest::Approx(0.1));
  CHECK(interpolation_error(bent, 4500_B) == doctest::Approx(0));
  // Never more than what lies between the times of its neighbors.
  CHECK(interpolation_error({{1_KiB, 10_us}, {2_KiB, 50_us}, {3_KiB, 51_us}}, 2500_B) < 0.012);
}

TEST_CASE("the interval of a plan on one device is that of its measured figures") {
  const ModelSpec model = test::small_gpt();
  const auto ops = test::op_library();
  const Problem problem = make_problem(model, test::dimensions(), {.batch = 4, .devices = 1, .budget = 1_GiB});
  Plan plan = uniform_plan(Options::from_text("{}", "plan"), model, test::dimensions(), 1, 4);
  const Prediction p =
      predict(plan, model, test::dimensions(), ops, Dtype::f32, test::plain_cluster(), complete_profile(problem, ops));
  CHECK(p.basis == Basis::measured);
  CHECK(to_seconds(p.low) / to_seconds(p.cost.step) == doctest::Approx(0.9279).epsilon(0.001));
  CHECK(to_seconds(p.high) / to_seconds(p.cost.step) == doctest::Approx(1.0721).epsilon(0.001));
  REQUIRE(p.memory.size() == 1);
  CHECK(p.memory[0].low < p.memory[0].expected);
  CHECK(p.memory[0].expected <= p.cost.memory[0]);
  CHECK(ratio(p.memory[0].high, p.memory[0].expected) == doctest::Approx(1.01).epsilon(0.02));
}

TEST_CASE("an interval takes in repeats, what layers differ from the sum of their figures by, and steps from layers") {
  const ModelSpec model = test::small_gpt();
  const auto ops = test::op_library();
  const Problem problem = make_problem(model, test::dimensions(), {.batch = 4, .devices = 1, .budget = 1_GiB});
  const Plan plan = uniform_plan(Options::from_text("{}", "plan"), model, test::dimensions(), 1, 4);
  const auto width = [&](const Profile& profile) {
    const Prediction p = predict(plan, model, test::dimensions(), ops, Dtype::f32, test::plain_cluster(), profile);
    return to_seconds(p.high - p.low) / to_seconds(p.cost.step) / 2;
  };
  Profile profile = complete_profile(problem, ops);
  CHECK(width(profile) == doctest::Approx(0.0721).epsilon(0.001));  // 2 x the root of 0.02^2 + 0.03^2
  profile.unexplained = 0.06;  // 2 x the root of 0.02^2 + 0.06^2 + 0.03^2
  CHECK(width(profile) == doctest::Approx(0.14).epsilon(0.001));
  // What single kernels differ by averages out.
  for (const auto& [key, time] : profile.compute) profile.spreads[key] = 0.5;
  CHECK(width(profile) == doctest::Approx(0.14).epsilon(0.001));
}

TEST_CASE("a transfer is as uncertain as its own repeats where they differ more than kernels do") {
  Profile profile;
  profile.spread = 0.02, profile.unexplained = 0.01;
  for (const auto& [kind, spread] : {std::pair{MoveKind::all_gather, 0.01}, {MoveKind::all_reduce, 0.1}})
    profile.links.push_back({.kind = kind, .ranks = 2, .link = {10_us, 1e9}, .spread = spread});
  const auto upper = [&](MoveKind kind) {
    const Prices expected(test::plain_cluster(), profile, test::op_library());
    const Prices upper(test::plain_cluster(), profile, test::op_library(), IntervalEnd::upper);
    const GroupShape pair{.ranks = 2};
    return to_seconds(upper.collective(kind, 1_MiB, pair)) / to_seconds(expected.collective(kind, 1_MiB, pair));
  };
  CHECK(upper(MoveKind::all_gather) == doctest::Approx(1 + 2 * std::hypot(0.02, 0.01, 0.03)));
  CHECK(upper(MoveKind::all_reduce) == doctest::Approx(1 + 2 * std::hypot(0.1, 0.01, 0.03)));
}

TEST_CASE("copies that were timed by size are priced by their sizes") {
  Profile profile;
  profile.copies = {{1000_B, 2_us}, {3000_B, 4_us}};
  const Prices prices(test::plain_cluster(), profile, test::op_library());
  CHECK(prices.copy(0_B) == 0_us);
  CHECK(prices.copy(500_B) == 2_us);
  CHECK(prices.copy(2000_B) == 3_us);
  CHECK(prices.copy(5000_B) == 6_us);
}

TEST_CASE("a plan whose transfers lie between measured sizes is interpolated, one without a profile is estimated") {
  const ModelSpec model = test::small_gpt();
  const auto ops = test::op_library();
  const Problem problem = make_problem(model, test::dimensions(), {.batch = 4, .devices = 2, .budget = 1_GiB});
  const Plan plan = uniform_plan(Options::from_text("tp: {degree: 2}", "plan"), model, test::dimensions(), 2, 4);
  const auto predicted = [&](const std::optional<Profile>& profile) {
    return predict(plan, model, test::dimensions(), ops, Dtype::f32, test::plain_cluster(), profile);
  };
  const Prediction measured = predicted(complete_profile(problem, ops)), estimated = predicted(std::nullopt);
  CHECK(measured.basis == Basis::interpolated);
  CHECK(measured.low < measured.cost.step);
  CHECK(measured.cost.step < measured.high);
  CHECK(estimated.basis == Basis::estimated);
  CHECK(ratio(estimated.high, estimated.cost.step) > 1.4);
  CHECK(step_text(estimated).find("estimated from a cluster description") != std::string::npos);
}

TEST_CASE("a profile with a time that is none is refused, and the key is named") {
  for (const std::string time : {"0ps", "-1us", "nan", ".nan", "inf", ""}) {
    CAPTURE(time);
    CHECK(complaint_about("compute:\n  - {key: \"linear\", time: " + time + "}\n").find("time") != std::string::npos);
    CHECK(complaint_about("adamw: " + (time.empty() ? "''" : time) + "\n").find("adamw") != std::string::npos);
  }
  CHECK(complaint_about("compute:\n  - {key: \"linear\"}\n").find("time: required") != std::string::npos);
  CHECK(complaint_about("slowdown: .nan\n").find("slowdown") != std::string::npos);
  CHECK(complaint_about("spread: -0.1\n").find("spread") != std::string::npos);
  CHECK(complaint_about("unexplained: .inf\n").find("unexplained") != std::string::npos);
  CHECK(complaint_about("copies: [{bytes: 1KiB, time: 1us}]\n").find("one point is too few") != std::string::npos);
  CHECK(complaint_about("copies: [{bytes: 1KiB, time: 0s}, {bytes: 2KiB, time: 1us}]\n").find("time") != std::string::npos);
  CHECK(complaint_about("compute:\n  - {key: \"linear\", time: 12us, spread: -1}\n").find("spread") != std::string::npos);
  CHECK(complaint_about("compute:\n  - {key: \"linear\", time: 12us}\n") == "none");
}

TEST_CASE("a link of one size, or of sizes out of order, is refused") {
  const auto link = [](const std::string& points) {
    return "links:\n  - {kind: all_gather, ranks: 2, latency: 1us, bandwidth: 1GB/s, points: [" + points + "]}\n";
  };
  CHECK(complaint_about(link("{bytes: 1KiB, time: 1us}")).find("one point is too few") != std::string::npos);
  CHECK(complaint_about(link("{bytes: 2KiB, time: 1us}, {bytes: 1KiB, time: 2us}")).find("bytes") != std::string::npos);
  CHECK(complaint_about(link("{bytes: 1KiB, time: 0s}, {bytes: 2KiB, time: 2us}")).find("time") != std::string::npos);
  CHECK(complaint_about(link("{bytes: 1KiB, time: 1us}, {bytes: 2KiB, time: 2us}")) == "none");
}

TEST_CASE("a profile that was cut short is refused wherever the cut is") {
  Profile profile;
  profile.machine = {{"device", "d"}, {"threads", "1"}};
  profile.compute = {{"linear forward", 12_us}};
  profile.links = {{MoveKind::all_gather, 2, false, {1_us, 1e9}, {{1000_B, 1_us}, {2000_B, 2_us}}, 0.01}};
  profile.spreads = {{"linear forward", 0.02}};
  profile.copies = {{1000_B, 1_us}, {2000_B, 2_us}};
  profile.unexplained = 0.03;
  const std::string text = to_yaml(profile);
  CHECK(to_yaml(read_profile(Options::from_text(text, "whole"))) == text);
  for (const std::size_t length : {std::size_t{10}, text.find("machine"), text.find("points") + 20, text.find("time: 12") - 3}) {
    CAPTURE(length);
    CHECK_THROWS_AS(read_profile(Options::from_text(text.substr(0, length), "cut")), Error);
  }
}
