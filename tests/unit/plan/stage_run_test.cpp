#include "plan/cost/stage_run.h"

#include <doctest/doctest.h>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

CompiledPlan compiled(const std::string& yaml, std::vector<int> atoms = {2, 2}) {
  static const ModelSpec model = test::small_gpt();
  return compile(test::uniform(model, std::move(atoms), test::strategy(yaml)), model, test::dimensions(),
                 *test::op_library(), Dtype::f32);
}

Picoseconds adamw(const CompiledPlan& plan) {
  Picoseconds sum{0};
  for (const Instruction& i : plan.stages[0]->update)
    if (i.kind == InstructionKind::adamw)
      sum += test::plain_prices()->price(*plan.stages[0], i, plan.context, {}).compute;
  return sum;
}

}  // namespace

TEST_CASE("layers add up to their stage: a micro-batch, and what the last one takes longer") {
  for (const std::string yaml : {"{}", "{zero: {stage: 1}}", "{zero: {stage: 2}}", "{zero: {stage: 3}}",
                                 "{tp: {degree: 2}, megatron_sp: on}", "{ulysses: {degree: 2}, zero: {stage: 3}}"}) {
    CAPTURE(yaml);
    const StageRun run = run_stage(compiled(yaml), 0, *test::plain_prices());
    LayerTimes sum;
    for (const LayerTimes& layer : run.layers)
      sum.forward += layer.forward, sum.backward += layer.backward, sum.surplus += layer.surplus;
    CHECK(sum.forward == run.times.forward);
    CHECK(sum.backward == run.times.backward);
    CHECK(sum.surplus == run.times.last_backward - run.times.backward);
    CHECK(run.update.slowed == sum.surplus);
    CHECK(run.update.total() == run.update.slowed + run.before_norm + run.after);
  }
}

TEST_CASE("an update is what each of its parts takes: reductions, the norm, the optimizer, gathers") {
  const UpdateParts one = run_stage(compiled("{}", {}), 0, *test::plain_prices()).update;
  CHECK(one.exposed_reduction() == 0_ps);
  CHECK(one.gathering == 0_ps);
  CHECK(one.norm > 0_ps);

  const CompiledPlan plain = compiled("{}"), zero1 = compiled("{zero: {stage: 1}}");
  const UpdateParts dp = run_stage(plain, 0, *test::plain_prices()).update;
  CHECK(dp.exposed_reduction() > 0_ps);
  CHECK(dp.optimizer == adamw(plain));
  CHECK(dp.gathering == 0_ps);

  const UpdateParts split = run_stage(zero1, 0, *test::plain_prices()).update;
  CHECK(split.optimizer == adamw(zero1));
  CHECK(split.optimizer < dp.optimizer);
  CHECK(split.gathering > 0_ps);
}

TEST_CASE("an update is told by its parts; what takes no time is left out") {
  const UpdateParts all{
      .slowed = 15_us, .reducing = 10_us, .norm = 2_us, .optimizer = 3_us, .gathering = 4_us, .sharing = 5_us};
  CHECK(all.total() == 39_us);
  CHECK(update_text(all) ==
        "gradient reduction 25.00 us (15.00 us by slowing the last backward), gradient norm 2.00 us, "
        "optimizer 3.00 us, parameter gather 4.00 us, shared parameters 5.00 us");
  CHECK(update_text({.slowed = 15_us}) == "gradient reduction 15.00 us by slowing the last backward, optimizer 0 ps");
  CHECK(update_text({.reducing = 10_us, .optimizer = 3_us}) == "gradient reduction 10.00 us, optimizer 3.00 us");
  CHECK(update_text({}) == "optimizer 0 ps");
}

TEST_CASE("the step of the replay alone is that of all costs") {
  for (const std::string yaml : {"{}", "{zero: {stage: 1}}", "{tp: {degree: 2}, zero: {stage: 3}}"}) {
    const CompiledPlan plan = compiled(yaml);
    const PipelineSchedule& schedule = find_schedule(test::dimensions(), "1f1b");
    const DetailedCost cost = price_plan(plan, schedule, *test::plain_prices());
    const StepReplay replay = replay_step(plan, schedule, *test::plain_prices());
    CHECK(replay.step == cost.step);
    CHECK(replay.stages[0].update.total() == cost.stages[0].update);
  }
}
