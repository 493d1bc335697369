// The collectives that each strategy derives for one inner GPT layer, against the table of docs/derivation.md.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/plugins.h"
#include "trellis/plan/model_family.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/program.h"

namespace trellis {
namespace {

ModelSpec small_gpt(const std::string& more = "") {
  return test::family("gpt")->describe(Options::from_text(
      "shape: gpt2\nlayers: 3\nhidden: 16\nheads: 8\nkv_heads: 2\nffn: 32\nvocab: 48\nvocab_multiple: 8\nsequence: 16\n" + more, "model.yaml"));
}

Strategy strategy(const std::string& text) { return read_strategy(Options::from_text("{" + text + "}", "plan"), test::dimensions()); }

LayerProgram block(const std::string& settings, std::vector<int> atoms = {2, 2, 2}, const std::string& more = "", std::int64_t batch = 8) {
  static const OpLibrary ops;
  const ModelSpec model = small_gpt(more);
  const Placed placed = place(strategy(settings), *model.layers[1], DeviceLine{atoms}, test::dimensions());
  INFO(placed.reason);
  REQUIRE(placed.placement);
  return derive(model.layers[1], *placed.placement, {.micro_batch = batch, .ops = &ops});
}

std::string counts(const Instructions& list) {
  std::map<std::string, int> count;
  for (const Move* m : moves(list)) ++count[std::string(name_of(m->kind))];
  std::string text;
  for (const auto& [name, n] : count) text += (text.empty() ? "" : ", ") + fmt::format("{} {}", n, name);
  return text.empty() ? "none" : text;
}

}  // namespace

TEST_CASE("tp is two all-reduces each way, also above the number of kv heads") {
  for (const char* degree : {"2", "4", "8"}) {
    const LayerProgram p = block(fmt::format("tp: {{degree: {}}}", degree));
    CHECK(counts(p.forward) == "2 all_reduce");
    CHECK(counts(p.backward) == "2 all_reduce");
  }
}

TEST_CASE("tp above the number of kv heads stays so with rotary positions") {
  const LayerProgram p = block("tp: {degree: 8}", {2, 2, 2}, "positions: rotary\n");
  CHECK(counts(p.forward) == "2 all_reduce");
  CHECK(counts(p.backward) == "2 all_reduce");
}

TEST_CASE("megatron_sp turns them into all-gathers and reduce-scatters, and gathers kept inputs again") {
  const LayerProgram p = block("tp: {degree: 4}, megatron_sp: on");
  CHECK(counts(p.forward) == "2 all_gather, 2 reduce_scatter");
  CHECK(counts(p.backward) == "4 all_gather, 2 reduce_scatter");
  const auto first = *moves(p.forward).front();
  CHECK(first.bytes == 4_B * 4 * 16 * 16 * 3 / 4);  // three quarters of [4 16 16]
}

TEST_CASE("ulysses is four all-to-alls each way, with gathers where kv heads run out") {
  LayerProgram p = block("ulysses: {degree: 2}");
  CHECK(counts(p.forward) == "4 all_to_all");
  CHECK(counts(p.backward) == "4 all_to_all");
  p = block("ulysses: {degree: 4}");
  CHECK(counts(p.forward) == "2 all_gather, 4 all_to_all");
  CHECK(counts(p.backward) == "4 all_to_all, 2 reduce_scatter");
}

TEST_CASE("dp moves no activations, and zero 3 gathers parameters in forward and in backward") {
  CHECK(counts(block("").forward) == "none");
  CHECK(counts(block("").backward) == "none");
  const LayerProgram p = block("zero: {stage: 3}");
  CHECK(counts(p.forward) == "none");
  const auto gathers = [](const Instructions& list) { return std::ranges::count_if(list, [](const Instruction& i) { return i.kind == InstructionKind::gather_start; }); };
  CHECK(gathers(p.forward) == 1);
  CHECK(gathers(p.backward) == 1);
}

TEST_CASE("checkpointing runs forward again, without what backward does not read") {
  const LayerProgram p = block("tp: {degree: 2}, ckpt: full");
  int again = 0;
  bool last_product = false;
  for (const Instruction& i : p.backward)
    if (i.recomputed && i.kind == InstructionKind::forward) {
      ++again;
      last_product |= p.spec->ops[static_cast<std::size_t>(i.op)].name == "mlp.down";
    }
  CHECK(again > 8);
  CHECK_FALSE(last_product);
  CHECK(counts(p.backward) == "3 all_reduce");  // the attention's output once more
}

TEST_CASE("a norm's gradient is reduced over tp too under megatron_sp, and over ulysses always") {
  const auto axes = [](const LayerProgram& p, const std::string& name) {
    for (const Bucket& b : p.buckets)
      for (ParameterId id : b.parameters)
        if (p.spec->parameters[static_cast<std::size_t>(id)].name == name) return b.axes;
    return AxisList{-1};
  };
  CHECK(axes(block("tp: {degree: 2}"), "ln_1.weight") == AxisList{0, 1});
  CHECK(axes(block("tp: {degree: 2}, megatron_sp: on"), "ln_1.weight") == AxisList{0, 1, 2});
  CHECK(axes(block("tp: {degree: 2}, megatron_sp: on"), "attn.q.weight") == AxisList{0, 1});
  CHECK(axes(block("ulysses: {degree: 4}"), "attn.q.weight") == AxisList{0, 1, 2});
}

TEST_CASE("the weight gradient comes after the input gradient's collective has started") {
  const LayerProgram p = block("tp: {degree: 4}");
  bool hidden = false;
  for (std::size_t i = 0; i + 1 < p.backward.size(); ++i)
    hidden |= p.backward[i].kind == InstructionKind::start && p.backward[i + 1].kind == InstructionKind::weight_gradient;
  CHECK(hidden);
}

TEST_CASE("degrees that are not powers of two derive, and those that do not divide are refused by name") {
  const LayerProgram p = block("tp: {degree: 2}", {3, 2}, "", 6);
  CHECK(counts(p.forward) == "2 all_reduce");
  const ModelSpec model = small_gpt();
  const Placed placed = place(strategy("tp: {degree: 3}"), *model.layers[1], DeviceLine{{2, 3}}, test::dimensions());
  CHECK_FALSE(placed.placement);
  CHECK(placed.reason.find("divide by 3") != std::string::npos);
}

TEST_CASE("every slot of a linked stage is made before it is read and freed once") {
  const ModelSpec model = small_gpt("dropout: 0.1\n");
  const OpLibrary ops;
  Plan plan{.batch = 16, .micro_batches = 2, .devices = 8, .atoms = {2, 2}, .schedule = "1f1b", .stages = {{0, 1}, {2, 4}}};
  plan.layers = {strategy("tp: {degree: 2}, zero: {stage: 3}"), strategy("ulysses: {degree: 2}, zero: {stage: 2}, ckpt: full"),
                 strategy("tp: {degree: 4}, megatron_sp: on"), strategy("zero: {stage: 3}"), strategy("tp: {degree: 2}, zero: {stage: 1}")};
  const CompiledPlan compiled = compile(plan, model, test::dimensions(), ops, Dtype::f32);
  for (const auto& stage : compiled.stages) {
    std::set<SlotId> alive(stage->receive.begin(), stage->receive.end());
    for (const FieldUse& f : stage->fields) alive.insert(f.slot);
    const auto run = [&](const Instructions& list) {
      for (const Instruction& i : list) {
        if (i.kind == InstructionKind::free) {
          for (SlotId s : i.in) CHECK(alive.erase(s) == 1);
          continue;
        }
        for (SlotId s : i.in)
          if (s >= 0) CHECK(alive.contains(s));
        for (SlotId s : i.uses) CHECK(alive.contains(s));
        for (SlotId s : i.out)
          if (s >= 0) alive.insert(s);
      }
    };
    run(stage->forward);
    alive.insert(stage->receive_gradient.begin(), stage->receive_gradient.end());
    for (SlotId s : stage->send) alive.erase(s);
    run(stage->backward);
    for (SlotId s : stage->send_gradient) CHECK(alive.erase(s) == 1);
    for (SlotId s : stage->losses) alive.erase(s);
    CHECK(alive.empty());
  }
  CHECK(compiled.stages[0]->ties.size() == 1);
}

}  // namespace trellis
