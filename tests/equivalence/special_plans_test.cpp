// Plans at the edges: shared parameters over stages, batches that do not divide, other dtypes, degrees of three.
#include <ATen/ops/equal.h>

#include <cmath>

#include "equivalence/equivalence.h"
#include "run/comm/thread_ranks.h"
#include "run/verify/synthetic_source.h"

namespace trellis::test {
namespace {

const std::string kDropout = "dropout: 0.2\nattention_dropout: 0.1\n";

Plan with_ends(Plan plan, const std::string& embedding, const std::string& head) {
  plan.layers.front() = strategy(embedding);
  plan.layers.back() = strategy(head);
  return plan;
}

}  // namespace

TEST_CASE("a tied embedding trains like one rank where its two uses are two and four stages apart") {
  Trained trained(kGpt2 + kDropout);
  for (int stages : {2, 4}) {
    trained.check(trained.plan(stages, "{}", stages, 3, 5));
    trained.check(trained.plan(2 * stages, "{}", stages, 3, 5));
  }
}

TEST_CASE("a tied embedding may lie differently in embedding and head") {
  Trained trained(kGpt2);
  for (int stages : {1, 2}) {
    const Plan plan = trained.plan(4 * stages, "{}", stages);
    trained.check(with_ends(plan, "{tp: {degree: 4}}", "{}"));
    trained.check(with_ends(plan, "{zero: {stage: 3}}", "{tp: {degree: 2}, zero: {stage: 1}}"));
    trained.check(with_ends(plan, "{tp: {degree: 2}, zero: {stage: 2}}", "{tp: {degree: 4}, megatron_sp: on}"));
  }
}

TEST_CASE("a tied embedding may be stored in shards on both sides") {
  Trained trained(kGpt2);
  for (int stages : {1, 2, 4}) {
    const Plan plan = trained.plan(2 * stages, "{}", stages);
    trained.check(with_ends(plan, "{zero: {stage: 3}}", "{zero: {stage: 3}}"));
  }
}

TEST_CASE("recomputation draws the same dropout under every split") {
  Trained trained(kGpt2 + kDropout);
  trained.check(trained.plan(4, "{tp: {degree: 2}, megatron_sp: on, ckpt: full}", 2, 3, 7));
  trained.check(trained.plan(4, "{ulysses: {degree: 2}, zero: {stage: 3}, ckpt: full}", 1, 3, 7));
}

TEST_CASE("a batch may be smaller than the data-parallel degree") {
  Trained trained(kGpt2 + kDropout);
  trained.check(trained.plan(4, "{}", 1, 1, 3));
  trained.check(trained.plan(8, "{zero: {stage: 2}}", 1, 2, 3));
  trained.check(trained.plan(8, "{zero: {stage: 3}}", 2, 1, 1));
}

TEST_CASE("degrees of three train like one rank") {
  Trained trained("shape: llama\nlayers: 2\nhidden: 12\nheads: 3\nffn: 36\nvocab: 41\nvocab_multiple: 12\nsequence: 9\n");
  for (const char* all : {"{}", "{tp: {degree: 3}, megatron_sp: on}", "{ulysses: {degree: 3}, zero: {stage: 3}}"}) {
    Plan plan = uniform(trained.model, {3}, strategy(all), 1, 2, 5);
    trained.check(plan);
    plan = uniform(trained.model, {2, 3}, strategy(all), 1, 2, 5);
    trained.check(plan);
  }
}

TEST_CASE("evaluation does not disturb training, not in a bit") {
  Trained with(kGpt2 + kDropout), without(kGpt2 + kDropout, {.evaluate = false});
  const Plan plan = with.plan(4, "{tp: {degree: 2}, zero: {stage: 3}, ckpt: full}", 2, 3, 7);
  const auto parameters = [&](Trained& trained) {
    TrainedState first;
    ThreadRanks(4, true).run([&](CommWorld& world) {
      TrainedState state = trained.verifier.train(trained.verifier.compiled(plan), world, true);
      if (world.rank() == 0) first = std::move(state);
    });
    return first;
  };
  const TrainedState a = parameters(with), b = parameters(without);
  CHECK(a.evaluations.size() == 2);
  CHECK(b.evaluations.empty());
  CHECK(a.losses == b.losses);
  for (const auto& [name, tensor] : a.parameters) {
    INFO(name);
    CHECK(at::equal(tensor, b.parameters.at(name)));
  }
}

TEST_CASE("a run in bf16 follows the run in f32, on one rank and on two") {
  for (const std::string& shape : {kGpt2 + "dropout: 0.1\n", kLlama}) {
    Trained full(shape, {.dtype = Dtype::f32}), half(shape, {.dtype = Dtype::bf16});
    const TrainedState& exact = full.verifier.reference(6);
    const auto near = [&](const TrainedState& state) {
      for (std::size_t step = 0; step < exact.losses.size(); ++step)
        CHECK(std::abs(state.losses[step] / exact.losses[step] - 1) < 2e-2);
    };
    near(half.verifier.reference(6));
    for (const char* all : {"{zero: {stage: 2}}", "{tp: {degree: 2}, megatron_sp: on}"}) {
      const CompiledPlan plan = half.verifier.compiled(half.plan(2, all));
      run_threads(2, true, [&](CommWorld& world) {
        const TrainedState state = half.verifier.train(plan, world, true);
        if (world.rank() == 0) near(state);
      });
    }
  }
}

TEST_CASE("a synthetic source counts the labels that it hands out") {
  FieldSpec labels{.range = {FieldKind::labels, 11}, .sequence = "sequence", .positions = 7}, mask = labels;
  FieldSpec classes{.range = {FieldKind::labels, 2}};
  mask.range = {FieldKind::mask, 2};
  const SyntheticSource data(5, {{"labels", labels}, {"mask", mask}, {"classes", classes}}, 3);
  for (std::int64_t step : {0, 1, 2}) {
    const at::Tensor of_tokens = data.field({.name = "labels", .step = step, .row_end = 6, .position_end = 8});
    CHECK(of_tokens.ge(0).sum().item<std::int64_t>() == data.counted_items(step, "labels"));
    const at::Tensor of_samples = data.field({.name = "classes", .step = step, .row_end = 6, .position_end = 1});
    CHECK(of_samples.ge(0).sum().item<std::int64_t>() == data.counted_items(step, "classes"));
    const at::Tensor there = data.field({.name = "mask", .step = step, .row_end = 6, .position_end = 8});
    CHECK(there.sum({1}).ge(1).narrow(0, 0, 5).all().item<bool>());
    CHECK(of_tokens.masked_select(there.eq(0)).lt(0).all().item<bool>());  // nothing counts in the padding
  }
}

}  // namespace trellis::test
