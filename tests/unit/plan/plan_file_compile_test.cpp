// A plan against a model: what every stage runs, and what is told when it does not fit.
#include <doctest/doctest.h>

#include <functional>

#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"

using namespace trellis;

namespace {

ModelSpec gpt() {
  return test::family("gpt")->describe(Options::from_text(
      "{hidden: 48, layers: 4, heads: 12, vocab: 100, vocab_multiple: 24, sequence: 30, dropout: 0.1}", "gpt"));
}

// Layer 0 is the embedding, 1 to 4 are blocks, 5 is the head.
Plan plan(const std::string& layers, const std::string& pipeline = "{stages: [0-5]}",
          const std::string& devices = "4") {
  return read_plan(Options::from_text(
                       "apiVersion: trellis/v1\nkind: Plan\nglobal: {batch: 20, micro_batches: 3, devices: " + devices +
                           "}\npipeline: " + pipeline + "\nlayers: " + layers + "\n",
                       "plan.yaml"),
                   test::dimensions(), 6);
}

CompiledPlan compiled(const Plan& plan) {
  static const OpLibrary ops;
  return compile(plan, gpt(), test::dimensions(), ops, Dtype::f32);
}

std::string error(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a micro-batch is rounded up to a multiple of every layer's batch degree") {
  CHECK(compiled(plan("[{layers: 0-5}]")).context.micro_batch == 8);  // 20 in 3 are 7, over 4 devices 8
  CHECK(compiled(plan("[{layers: 0-5, tp: {degree: 2}}]")).context.micro_batch == 8);
  CHECK(compiled(plan("[{layers: 0-5, tp: {degree: 4}}]")).context.micro_batch == 7);
  CHECK(compiled(plan("[{layers: 0-2, tp: {degree: 3}}, {layers: 3-5}]", "{}", "6")).context.micro_batch == 12);
}

TEST_CASE("a sequence is padded to a multiple of every layer's sequence degree") {
  CHECK(compiled(plan("[{layers: 0-5, tp: {degree: 4}}]")).context.sequence_multiple == 1);
  CHECK(compiled(plan("[{layers: 0-5, tp: {degree: 4}, megatron_sp: on}]")).context.sequence_multiple == 4);
  CHECK(compiled(plan("[{layers: 0-4}, {layers: 5, ulysses: {degree: 2}}]")).context.sequence_multiple == 2);
  // 2 x 3 devices: 3 for some, 6 for others
  CHECK(compiled(plan("[{layers: 0-2, ulysses: {degree: 3}}, {layers: 3-5, ulysses: {degree: 6}}]", "{}", "6"))
            .context.sequence_multiple == 6);
}

TEST_CASE("every stage has the program of its layers, and hands over what the next one takes") {
  const CompiledPlan two =
      compiled(plan("[{layers: 0-2, ulysses: {degree: 2}}, {layers: 3-5, tp: {degree: 2}, zero: {stage: 3}}]",
                    "{schedule: gpipe, stages: [0-2, 3-5]}"));
  REQUIRE(two.stages.size() == 2);
  const StageProgram &first = *two.stages[0], &last = *two.stages[1];
  CHECK(first.line.atoms == std::vector<int>{2});
  CHECK(first.first_layer == 0);
  CHECK(last.first_layer == 3);
  CHECK(first.specs.size() == 3);
  CHECK(last.placements.size() == 3);
  CHECK(first.receive.empty());
  CHECK(first.losses.empty());
  CHECK(last.send.empty());
  CHECK(last.losses.size() == 1);
  REQUIRE(first.send.size() == 1);
  REQUIRE(last.receive.size() == 1);
  const Slot& sent = first.slots[static_cast<std::size_t>(first.send[0])];
  const Slot& received = last.slots[static_cast<std::size_t>(last.receive[0])];
  CHECK(sent.shape == Shape{7, 30, 48});  // tp takes the residual stream whole
  CHECK(sent.shape == received.shape);
  CHECK(sent.layout == received.layout);
}

TEST_CASE("a strategy that does not fit a layer is told with the layers that have it") {
  CHECK(error([] { compiled(plan("[{layers: 0}, {layers: 1-4, tp: {degree: 8}}, {layers: 5}]", "{}", "8")); }) ==
        "layers 1-4: tp degree 8 does not fit: 12 heads do not divide by 8");
  CHECK(error([] { compiled(plan("[{layers: [0, 1, 3, 4]}, {layers: 2, tp: {degree: 3}}, {layers: 5}]")); }) ==
        "layer 2: tp degree 3 does not fit: degree 3 is not a product of the innermost devices of 2 x 2");
}

TEST_CASE("a plan that was not made for the model is an error") {
  Plan wrong = plan("[{layers: 0-5}]");
  wrong.layers.pop_back();
  CHECK(error([&] { compiled(wrong); }) == "the plan has 5 layers, the model has 6");
  wrong = plan("[{layers: 0-5}]");
  wrong.stages = {{0, 4}};
  CHECK(error([&] { compiled(wrong); }) == "layers 5 and later are in no stage");
  wrong.stages = {{0, 5}};
  wrong.devices = 8;
  CHECK(error([&] { compiled(wrong); }) == "1 stage of 4 devices are not 8 devices");
}
