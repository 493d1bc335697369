// Values that layers hand on as they came: an encoder's memory along the decoder.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "support/small_gpt.h"

namespace trellis::test {
namespace {

ModelSpec small_t5() {
  return family("t5")->describe(Options::from_text(
      "{hidden: 16, heads: 4, head_dim: 6, ffn: 32, vocab: 40, vocab_multiple: 8, sequence: 12, target: 8, layers: 1,"
      " decoder_layers: 4, buckets: 8, max_distance: 10}", "t5"));  // embedding, 1, decoder's embedding, 4, head
}

CompiledPlan compiled(const Plan& plan, const ModelSpec& model) {
  return compile(plan, model, dimensions(), *op_library(), Dtype::f32);
}

// The slots in which the memory stands, and those in which its gradient does.
std::set<SlotId> named(const StageProgram& stage, const std::string& name) {
  std::set<SlotId> found;
  for (const auto* list : {&stage.forward, &stage.backward})
    for (const Instruction& i : *list)
      for (const auto* slots : {&i.in, &i.out})
        for (const SlotId s : *slots)
          if (s >= 0 && stage.slots[static_cast<std::size_t>(s)].name == name) found.insert(s);
  return found;
}

}  // namespace

TEST_CASE("a value that layers carry is one slot in all of them that have it in one layout") {
  const ModelSpec model = small_t5();
  CHECK(named(*compiled(uniform(model, {2}, {}), model).stages[0], "memory").size() == 1);
  Plan two = uniform(model, {2}, {});
  for (const std::size_t layer : {5U, 6U}) two.layers[layer] = strategy("{tp: {degree: 2}}");
  CHECK(named(*compiled(two, model).stages[0], "memory").size() == 2);
}

TEST_CASE("what is sent and still read in backward stays") {
  const ModelSpec model = small_t5();
  Plan plan = uniform(model, {}, {}, 2, 2);
  plan.stages = {{0, 4}, {5, 7}};
  const CompiledPlan cut = compiled(plan, model);
  const StageProgram &first = *cut.stages[0], &second = *cut.stages[1];
  REQUIRE(first.send.size() == 2);
  const auto name = [](const StageProgram& stage, SlotId s) { return stage.slots[static_cast<std::size_t>(s)].name; };
  CHECK(name(first, first.send[0]) == "memory");
  CHECK(name(first, first.send[1]) == "hidden");
  CHECK(first.read_after_send == std::vector<SlotId>{first.send[0]});
  CHECK(second.receive.size() == 2);
  CHECK(second.send_gradient.size() == 2);
  plan.stages = {{0, 2}, {3, 7}};  // the layer that makes the memory does not read it
  CHECK(compiled(plan, model).stages[0]->read_after_send.empty());
}

TEST_CASE("tables that layers share have one owner and a use in each later stage") {
  const ModelSpec model = small_t5();
  Plan plan = uniform(model, {}, {}, 2, 2);
  plan.stages = {{0, 4}, {5, 7}};
  const CompiledPlan cut = compiled(plan, model);
  std::set<std::string> tied;
  for (const Tie& tie : cut.stages[0]->ties) tied.insert(tie.shared);
  CHECK(tied == std::set<std::string>{"decoder.distance.weight", "embedding.weight"});
  CHECK(cut.stages[0]->ties.size() == 2);  // the embedding of encoder and decoder are one bucket
}

}  // namespace trellis::test
