#include <doctest/doctest.h>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

// One stage by hand: slot 0 a field, 1 kept, 2 given up in forward, 3 and 4 gradients; 1024, 512, 256 ... bytes.
StageProgram by_hand() {
  StageProgram stage;
  stage.specs = {std::make_shared<LayerSpec>()};
  const auto slot = [&](std::int64_t bytes) { stage.slots.push_back({.shape = {bytes / 4}}); };
  for (std::int64_t bytes : {1024, 512, 256, 128, 64}) slot(bytes);
  stage.fields = {{0, 0}};
  stage.forward = {{.kind = InstructionKind::forward, .in = {0}, .out = {2}, .scratch = 1000_B},
                   {.kind = InstructionKind::forward, .in = {2}, .out = {1}},
                   {.kind = InstructionKind::free, .in = {0, 2}}};
  stage.backward = {{.kind = InstructionKind::backward, .in = {1}, .out = {3}},
                    {.kind = InstructionKind::free, .in = {1, 3}}};
  return stage;
}

std::vector<Action> one_by_one(int micro_batches) {
  std::vector<Action> actions;
  for (int m = 0; m < micro_batches; ++m)
    for (ActionKind kind : {ActionKind::forward, ActionKind::backward}) actions.push_back({kind, m});
  return actions;
}

}  // namespace

TEST_CASE("an allocation is rounded up to 64 bytes and an empty one takes nothing") {
  CHECK(allocated(1_B) == 64_B);
  CHECK(allocated(64_B) == 64_B);
  CHECK(allocated(65_B) == 128_B);
  CHECK(allocated(0_B) == 0_B);
}

TEST_CASE("a replay takes slots at their first output, scratch during its instruction, and gives them at their free") {
  const MemoryReplay replay = replay_memory(by_hand(), one_by_one(1), Dtype::f32);
  CHECK(replay.states == 0_B);
  CHECK(replay.kept == 512_B);
  CHECK(replay.peak == 1024_B + 256_B + 1024_B);  // field, output and 1000 bytes of scratch
  CHECK(replay.at_peak.at(Purpose::transient) == 1024_B);
}

TEST_CASE("micro-batches in flight keep their slots each, in the order of the actions") {
  std::vector<Action> all_forward = {{ActionKind::forward, 0},  {ActionKind::forward, 1},  {ActionKind::forward, 2},
                                     {ActionKind::backward, 2}, {ActionKind::backward, 1}, {ActionKind::backward, 0}};
  CHECK(replay_memory(by_hand(), all_forward, Dtype::f32).peak == 2 * 512_B + 2304_B);
  CHECK(replay_memory(by_hand(), one_by_one(3), Dtype::f32).peak == 2304_B);
}

TEST_CASE("a gather that must be unpacked has its destination from the wait on, others from the start") {
  StageProgram stage;
  stage.slots = {{.shape = {16}}, {.shape = {32}}};
  const auto gather = [&](Bytes staging, MoveKind kind) {
    Instruction start{.kind = InstructionKind::start, .in = {0}, .out = {1}, .scratch = staging};
    start.move.kind = kind;
    Instruction wait = start;
    wait.kind = InstructionKind::wait;
    stage.forward = {{.kind = InstructionKind::forward, .out = {0}},
                     start,
                     {.kind = InstructionKind::forward, .scratch = 4096_B},
                     wait,
                     {.kind = InstructionKind::free, .in = {0, 1}}};
    return replay_memory(stage, {{ActionKind::forward, 0}}, Dtype::f32).peak;
  };
  CHECK(gather(128_B, MoveKind::all_gather) == 64_B + 128_B + 4096_B);
  CHECK(gather(128_B, MoveKind::all_to_all) == 64_B + 128_B + 128_B + 4096_B);
  CHECK(gather(0_B, MoveKind::all_gather) == 64_B + 128_B + 4096_B);
}

TEST_CASE("ZeRO stages split the lives of a bucket one after the other") {
  Bucket bucket{.elements = 1024, .degree = 4};
  const auto memory = [&](Dtype dtype) {
    const BucketMemory m = bucket_memory(bucket, dtype);
    return std::vector<std::int64_t>{m.parameter.value, m.gradient.value, m.optimizer.value};
  };
  CHECK(memory(Dtype::f32) == std::vector<std::int64_t>{4096, 4096, 8192});
  CHECK(memory(Dtype::bf16) == std::vector<std::int64_t>{2048, 4096, 12288});
  CHECK(memory(Dtype::f64) == std::vector<std::int64_t>{8192, 8192, 16384});
  bucket.split_optimizer = true;
  CHECK(memory(Dtype::bf16) == std::vector<std::int64_t>{2048, 4096, 3072});
  bucket.split_gradient = true;
  CHECK(memory(Dtype::bf16) == std::vector<std::int64_t>{2048, 1024, 3072});
  bucket.split_storage = true;
  CHECK(memory(Dtype::bf16) == std::vector<std::int64_t>{512, 1024, 3072});
  bucket.owner = false;
  CHECK(memory(Dtype::bf16) == std::vector<std::int64_t>{512, 1024, 0});
}

TEST_CASE("the states of a small GPT are sixteen bytes a parameter, and ZeRO-3 splits them") {
  const ModelSpec model = test::small_gpt();
  const auto states = [&](const std::string& yaml, std::vector<int> atoms) {
    const Plan plan = test::uniform(model, std::move(atoms), test::strategy(yaml));
    const CompiledPlan compiled = compile(plan, model, test::dimensions(), *test::op_library(), Dtype::f32);
    return replay_memory(*compiled.stages[0], find_schedule(test::dimensions(), "1f1b").actions("1f1b", 0, 1, 1),
                         Dtype::f32)
        .states;
  };
  const Bytes whole = states("{}", {});
  CHECK(ratio(whole, Bytes{16} * parameter_elements(model)) == doctest::Approx(1).epsilon(0.001));
  CHECK(ratio(states("zero: {stage: 3}", {2, 2}), whole) == doctest::Approx(0.25).epsilon(0.01));
  CHECK(ratio(states("zero: {stage: 2}", {2, 2}), whole) > 0.25 + 0.75 * 0.25);  // the tied table twice
}

TEST_CASE("full recomputation keeps less of a micro-batch than everything, megatron_sp less than tp") {
  const ModelSpec model = test::small_gpt();
  const auto kept = [&](const std::string& yaml) {
    const Plan plan = test::uniform(model, {2, 2}, test::strategy(yaml));
    const CompiledPlan compiled = compile(plan, model, test::dimensions(), *test::op_library(), Dtype::f32);
    return replay_memory(*compiled.stages[0], find_schedule(test::dimensions(), "1f1b").actions("1f1b", 0, 1, 1),
                         Dtype::f32)
        .kept;
  };
  CHECK(3 * kept("{tp: {degree: 2}, ckpt: full}") < kept("{tp: {degree: 2}}"));
  CHECK(kept("{tp: {degree: 2}, megatron_sp: on}") < kept("{tp: {degree: 2}}"));
}
