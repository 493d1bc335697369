#include <doctest/doctest.h>

#include "support/plugins.h"
#include "trellis/plan/plan_file.h"

using namespace trellis;

namespace {

Strategy strategy(const std::string& yaml) {
  return read_strategy(Options::from_text("{" + yaml + "}", "test"), test::dimensions());
}

Plan read(const std::string& text, const Plan& plan) {
  return read_plan(Options::from_text(text, "written"), test::dimensions(), static_cast<int>(plan.layers.size()));
}

Plan example() {
  Plan plan;
  plan.batch = 64;
  plan.micro_batches = 8;
  plan.devices = 8;
  plan.atoms = {2, 2};
  plan.stages = {{0, 1}, {2, 4}};
  const Strategy inner = strategy("tp: {degree: 2}, megatron_sp: on, ckpt: full, zero: {stage: 2}");
  plan.layers = {strategy("tp: {degree: 2}"), inner, inner, inner, {}};
  return plan;
}

}  // namespace

TEST_CASE("a plan is written with equal neighbors in one line") {
  CHECK(to_yaml(example()) == R"(apiVersion: trellis/v1
kind: Plan
global:    {batch: 64, micro_batches: 8, devices: 8, atoms: [2, 2]}
pipeline:  {schedule: 1f1b, stages: [0-1, 2-4]}
layers:
  - {layers: 0, tp: {degree: 2}}
  - {layers: 1-3, ckpt: full, megatron_sp: on, tp: {degree: 2}, zero: {stage: 2}}
  - {layers: 4}
)");
}

TEST_CASE("who made a plan and what it predicts are written with units") {
  Plan plan = example();
  plan.made_by = {{"search", "exact 1.0.0"}, {"model", "5d1e00aa"}, {"note", "a: \"b\", {c}"}};
  plan.predicted = Predicted{412512345_ns, {21 * 1_GiB + 512_MiB, 800_KiB, 0_B}, 155.2};
  const std::string text = to_yaml(plan);
  CHECK(text.find("made_by:   {model: 5d1e00aa, note: \"a: \\\"b\\\", {c}\", search: exact 1.0.0}\n") !=
        std::string::npos);
  CHECK(text.find("predicted: {step: 412.512ms, memory: [21.5GiB, 800KiB, 0], throughput: 155.2 samples/s}\n") !=
        std::string::npos);
  const Plan again = read(text, plan);
  CHECK(again.made_by == plan.made_by);
  REQUIRE(again.predicted);
  CHECK(again.predicted->step == 412512_us);
  CHECK(again.predicted->memory == plan.predicted->memory);
  CHECK(again.predicted->samples_per_second == 155.2);
}

TEST_CASE("a written plan is read back equal") {
  Plan plan = example();
  CHECK(read(to_yaml(plan), plan) == plan);

  plan.schedule = "gpipe";
  plan.atoms = {3, 2};
  plan.devices = 6;
  plan.stages = {{0, 4}};
  plan.layers[2] = strategy("ulysses: {degree: 2}, zero: {stage: 0}");
  CHECK(read(to_yaml(plan), plan) == plan);

  Plan smallest;
  smallest.stages = {{0, 0}};
  smallest.layers = {{}};
  CHECK(read(to_yaml(smallest), smallest) == smallest);
}

TEST_CASE("any text survives in made_by") {
  Plan plan = example();
  plan.made_by = {{"empty", ""},       {"null", "null"}, {"lines", "one\ntwo\t\"\\"}, {"dash", "- x"}, {"hash", "a #b"},
                  {"utf", "\xc3\xa9"}, {"number", "007"}};
  CHECK(read(to_yaml(plan), plan).made_by == plan.made_by);
}
