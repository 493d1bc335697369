#include <doctest/doctest.h>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

struct Block {
  ModelSpec model = test::small_gpt();
  GlobalChoice choice{.batch = 8, .micro_batches = 2, .atoms = {2}};
  std::shared_ptr<const Prices> prices = test::plain_prices();
  Oracle oracle{model, test::dimensions(), test::op_library(), Dtype::bf16, prices};

  Candidate placed(const std::string& yaml) const {
    const Strategy s = test::strategy(yaml);
    return {s, *place(s, *model.layers[1], {{2}}, test::dimensions()).placement};
  }
  Where where() const { return {.choice = &choice, .shapes = {.micro_batch = 4}}; }
  DeriveContext context() const { return {.micro_batch = 4, .dtype = Dtype::bf16, .ops = test::op_library().get()}; }
  StageProgram own_program(const Candidate& c) const { return alone(derive(model.layers[1], c.placement, context())); }
};

std::vector<Action> one_micro_batch() {
  return {{ActionKind::receive_forward, 0},  {ActionKind::forward, 0},  {ActionKind::send_forward, 0},
          {ActionKind::receive_backward, 0}, {ActionKind::backward, 0}, {ActionKind::send_backward, 0}};
}

// With data parallelism alone nothing hides under anything in a layer: times are sums.
struct Sums {
  Picoseconds busy{0}, gather{0}, reduce_each{0}, reduce_last{0};
};
Sums sums(const Block& block, const StageProgram& stage, const Instructions& list) {
  Sums result;
  for (const Instruction& i : list) {
    const Price price = block.prices->price(stage, i, block.context(), {});
    if (i.kind == InstructionKind::gather_start) result.gather += price.transfer;
    else if (i.kind == InstructionKind::reduce_start) (i.last_only ? result.reduce_last : result.reduce_each) += price.transfer;
    else result.busy += price.compute;
  }
  return result;
}

const char* const kStages[] = {"zero: {stage: 3}", "{}", "zero: {stage: 2}", "zero: {stage: 1}", "zero: {stage: 3}"};

}  // namespace

TEST_CASE("a layer under a ZeRO stage takes what its own program takes, whatever was asked for before") {
  const Block block;
  for (const char* const yaml : kStages) {
    CAPTURE(yaml);
    const Candidate candidate = block.placed(yaml);
    const LayerCost cost = block.oracle.layer(1, candidate, block.where());
    const StageProgram own = block.own_program(candidate);
    const Sums forward = sums(block, own, own.forward), backward = sums(block, own, own.backward);
    CHECK(cost.forward.busy == forward.busy);
    CHECK(cost.backward.busy == backward.busy);
    CHECK(cost.forward.gather == forward.gather);
    CHECK(cost.backward.gather == backward.gather);
    CHECK(cost.reduce_each == forward.reduce_each + backward.reduce_each);
    CHECK(cost.reduce_last == forward.reduce_last + backward.reduce_last);
  }
}

TEST_CASE("its memory is that of its own program, too") {
  const Block block;
  for (const char* const yaml : kStages) {
    CAPTURE(yaml);
    const Candidate candidate = block.placed(yaml);
    const LayerCost cost = block.oracle.layer(1, candidate, block.where());
    const MemoryReplay own = replay_memory(block.own_program(candidate), one_micro_batch(), Dtype::bf16);
    CHECK(cost.states == own.states);
    CHECK(cost.forward_peak == own.forward_peak - own.states);
    CHECK(cost.last_peak == own.backward_peak - own.states);
    CHECK(cost.backward_peak <= cost.last_peak);
  }
}

TEST_CASE("a layer that is made again in backward is one of another kind, under every ZeRO stage") {
  const Block block;
  for (const std::string zero : {"zero: {stage: 3}", "zero: {stage: 1}"}) {
    CAPTURE(zero);
    const LayerCost kept = block.oracle.layer(1, block.placed(zero), block.where());
    const LayerCost again = block.oracle.layer(1, block.placed("{" + zero + ", ckpt: full}"), block.where());
    CHECK(again.states == kept.states);
    CHECK(again.kept < kept.kept);
    CHECK(again.backward.busy > kept.backward.busy);
  }
}
