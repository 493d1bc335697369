#include <doctest/doctest.h>

#include "cases.h"

namespace trellis::galvatron {
namespace {

using doctest::Approx;

Approx near(double value) { return Approx(value).epsilon(1e-8); }

// The fixture with a batch of 64 in 8 micro-batches.
struct Fixture : Case {
  Fixture() : Case(kFixture, {"micro_batches=8"}) {}
  Task task(int stages = 1) const { return {64, 8, stages, TpSp::tp_with_sp, 8}; }
};

constexpr Layout kDp{1, 1, 1, 8, DpType::zero2, false}, kZero3{1, 1, 1, 8, DpType::zero3, false};
constexpr Layout kTp4{1, 4, 1, 2, DpType::zero2, false}, kTp8{1, 8, 1, 1, DpType::ddp, false};
constexpr Layout kTwoStages{2, 2, 1, 2, DpType::zero3, false};

Layout recomputed(Layout layout) {
  layout.checkpoint = true;
  return layout;
}

TEST_CASE("a layer takes the reference's time, with and without gradient reduction") {
  const Fixture f;
  const CostModel costs = f.costs();
  const auto time = [&](const Layout& layout, int stages = 1) { return costs.layer_time(layout, f.task(stages)); };
  CHECK(time(kDp).sync == near(.07886037070891634));
  CHECK(time(kDp).no_sync == near(.07804562937435071));
  CHECK(time(kZero3).sync == near(.08151564213784253));
  CHECK(time(kZero3).no_sync == near(.0807009008032769));
  CHECK(time(kTp4).sync == near(.08437964483852238));
  CHECK(time(kTp4).no_sync == near(.08425832937435072));
  CHECK(time(kTp8).sync == near(.0920760293743507));
  CHECK(time(kTp8).no_sync == time(kTp8).sync);
  CHECK(time(recomputed(kTp8)).sync == near(.12510643916580094));
  CHECK(time(kTwoStages, 2).sync == near(.1615389774651655));
  CHECK(time(kTwoStages, 2).no_sync == near(.16129634653682215));
}

TEST_CASE("the vocabulary layers take the reference's time and memory") {
  const Fixture f;
  const CostModel costs = f.costs();
  const auto check = [&](const Layout& layout, double sync, double no_sync, double memory) {
    const VocabularyCost cost = costs.vocabulary(layout, f.task());
    CHECK(cost.sync.at(0) == near(sync).epsilon(1e-7));  // the table has eight digits
    CHECK(cost.no_sync.at(0) == near(no_sync).epsilon(1e-7));
    CHECK(cost.memory.at(0) == near(memory));
  };
  check(kDp, .17997191, .17921167, 11479.5637);
  check(kZero3, .18149239, .18073215, 9194.8497);
  check(kTp4, .18139577, .18128257, 9473.2337);
  check(kTp8, .18388847, .18388847, 8607.9507);
  const VocabularyCost two = costs.vocabulary(kTwoStages, f.task(2));
  CHECK(two.sync.at(0) == near(.180244293));
  CHECK(two.sync.at(1) == near(.180244295));
  CHECK(two.memory.at(0) == near(6798.0964));
  CHECK(two.memory.at(1) == near(13796.4161));
}

TEST_CASE("a layer takes the reference's memory: states and activations") {
  const Fixture f;
  const CostModel costs = f.costs();
  const auto check = [&](const Layout& layout, int stages, int stage, double states, double activation) {
    const LayerMemory memory = costs.layer_memory(layout, f.task(stages), stage);
    CHECK(memory.states == near(states));
    CHECK(memory.activation == near(activation));
  };
  check(kDp, 1, 0, 1153.919209, 2088.289551);
  check(kZero3, 1, 0, 623.21375, 2088.289551);
  check(recomputed(kZero3), 1, 0, 623.21375, 56);
  check(kTp4, 1, 0, 687.878263, 2088.289551);
  check(kTp8, 1, 0, 486.885742, 2088.289551);
  check(kTwoStages, 2, 0, 1224.517642, 8353.158203);
  check(kTwoStages, 2, 1, 1224.517642, 4176.579102);
}

TEST_CASE("shares of the states under ZeRO are those of the reference's table") {
  const auto share = [](const char* precision, const char* async, int micro_batches, DpType type) {
    Case c(kFixture, {"async_gradients=" + std::string(async)});
    c.settings.precision = precision;  // there is no profile in fp32
    const Task task{64, micro_batches, 1, TpSp::tp_with_sp, 8};
    const double parameters = c.profiles.memory.parameters;
    return c.costs().layer_memory({1, 1, 1, 8, type, false}, task, 0).states / (4 * parameters);
  };
  const double r = 1.0 / 8 + 0.003;
  CHECK(share("bf16", "on", 1, DpType::zero2) == near(7.0 / 8 * r + 1.0 / 8));
  CHECK(share("fp32", "on", 1, DpType::zero2) == near(3.0 / 4 * r + 1.0 / 4));
  CHECK(share("bf16", "on", 1, DpType::zero3) == near(r));
  CHECK(share("bf16", "on", 8, DpType::zero2) == near(6.0 / 8 * r + 2.0 / 8));
  CHECK(share("fp32", "on", 8, DpType::zero2) == near(2.0 / 4 * r + 2.0 / 4));
  CHECK(share("bf16", "on", 8, DpType::zero3) == near(7.0 / 8 * r + 1.0 / 8));
  CHECK(share("fp32", "on", 8, DpType::zero3) == near(3.0 / 4 * r + 1.0 / 4));
  CHECK(share("bf16", "off", 8, DpType::zero2) == near((7.0 / 8 * r + 1.0 / 8) * 5 / 4));
  CHECK(share("fp32", "off", 8, DpType::zero2) == near(3.0 / 4 * r + 1.0 / 4));
  CHECK(share("fp32", "off", 8, DpType::zero3) == near(r * 5 / 4));
  CHECK(share("bf16", "off", 8, DpType::ddp) == near(1));
}

TEST_CASE("a budget above 20 GiB loses a fifth, as the reference's does") {
  const auto usable = [](const char* memory) {
    return budget_of(Settings::read(section_of(kFixture, {std::string("memory=") + memory}))).usable;
  };
  CHECK(usable("36GiB") == 29492);
  CHECK(usable("20GiB") == 20480);
  CHECK(usable("21GiB") == 17204);
}

TEST_CASE("transitions carry the reference's constants that break ties") {
  const Fixture f;
  const CostModel costs = f.costs();
  const auto cost = [&](const Layout& from, const Layout& to) { return costs.transition(from, to, f.task()); };
  const Layout ulysses{1, 1, 4, 2, DpType::zero2, false};
  CHECK(cost(kDp, kDp) == 0);
  CHECK(cost(kTp4, ulysses) == 1e-10);
  CHECK(cost(ulysses, kTp4) == 0);
  CHECK(cost(kDp, kZero3) == 1e-9);
  CHECK(cost(kZero3, kDp) == 0);
  CHECK(cost(kDp, recomputed(kDp)) == 2e-9);
  CHECK(cost(kZero3, recomputed(kZero3)) == 3e-9);
  CHECK(cost(kDp, recomputed(kZero3)) == 3e-9);
  CHECK(cost(kZero3, recomputed(kDp)) == 1e-9);
  // 3/4 of 64/8/2 samples of 8192 * 4096 * 2 bytes, a hundred times too dear
  CHECK(cost(kDp, kTp4) == near(0.75 * 4 * 8192 * 4096 * 2 / 164.272 * 1e-7));
}

TEST_CASE("the buffer shared by tp is sized for the widest degree and halved") {
  const Fixture f;
  CHECK(f.costs().shared_buffer({64, 8, 1, TpSp::tp_with_sp, 8}) == near(8.0 * 4096 * 8192 * 4 / 1048576 / 2));
  CHECK(f.costs().shared_buffer({64, 8, 1, TpSp::tp_only, 1}) == near(1.0 * 4096 * 8192 * 4 / 1048576 / 2));
  CHECK(f.costs().shared_buffer({64, 8, 1, TpSp::sp_only, 8}) == 0);
}

}  // namespace
}  // namespace trellis::galvatron
