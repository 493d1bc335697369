#include "plan/cost/layer_costs.h"

#include <algorithm>
#include <numeric>

#include "plan/cost/timeline.h"
#include "plan/program/derivation.h"
#include "plan/program/passes.h"

namespace trellis {

DeriveContext context_of(const GlobalChoice& choice, const std::vector<const Placement*>& placements,
                         const OpLibrary& ops, Dtype dtype) {
  DeriveContext context{.dtype = dtype, .ops = &ops};
  std::int64_t multiple = 1;
  for (const Placement* p : placements) {
    multiple = std::lcm(multiple, p->multiple(kBatch));
    context.sequence_multiple = std::lcm(context.sequence_multiple, p->multiple(kSequence));
  }
  const std::int64_t samples = (choice.batch + choice.micro_batches - 1) / choice.micro_batches;
  context.micro_batch = (samples + multiple - 1) / multiple * multiple;
  return context;
}

StageProgram alone(const LayerProgram& layer) {
  StageProgram stage;
  stage.line = layer.placement.line();
  stage.specs = {layer.spec};
  stage.placements = {layer.placement};
  stage.slots = layer.slots;
  stage.buckets = layer.buckets;
  stage.forward = layer.forward;
  stage.backward = layer.backward;
  stage.fields = layer.fields;
  stage.receive = layer.inputs, stage.send = layer.outputs;
  stage.receive_gradient = layer.output_gradients, stage.send_gradient = layer.input_gradients;
  stage.loss = layer.loss;
  auto& places = stage.parameters.emplace_back();
  for (std::size_t b = 0; b < layer.buckets.size(); ++b)
    for (std::size_t p = 0; p < layer.buckets[b].parameters.size(); ++p)
      places[layer.buckets[b].parameters[p]] = {static_cast<BucketId>(b), static_cast<int>(p)};
  passes::add_in_place(stage);
  passes::add_frees(stage);
  std::vector<StageProgram> pipeline{std::move(stage)};
  link_updates(pipeline);
  return std::move(pipeline.front());
}

namespace {

struct Passes {
  Picoseconds forward{0}, backward{0}, backlog{0};
};

// One micro-batch that is not the last; `backlog` are the reductions that the last one starts.
Passes time_passes(const StageProgram& stage, const DeriveContext& context, const Prices& prices) {
  Passes passes;
  ListRunner runner{.stage = stage, .prices = prices, .context = context, .at = {}, .last = false};
  Timeline forward(prices.slowdown()), backward(prices.slowdown());
  runner.run(stage.forward, forward);
  forward.wait_all();
  runner.run(stage.backward, backward);
  backward.wait_all();
  passes.forward = forward.now(), passes.backward = backward.now();
  for (const auto* list : {&stage.forward, &stage.backward})
    for (const Instruction& i : *list)
      if (i.last_only) passes.backlog += prices.price(stage, i, context, {}).transfer;
  return passes;
}

bool kept_for_backward(const StageProgram& stage, SlotId s) {
  return std::ranges::any_of(stage.backward, [s](const Instruction& i) { return std::ranges::count(i.in, s) > 0; });
}

bool chains(const LayerProgram& layer) {
  const auto layout = [&](SlotId s) { return layer.slots[static_cast<std::size_t>(s)].layout; };
  return layer.inputs.size() == 1 && layer.outputs.size() == 1 && layer.loss < 0 &&
         layout(layer.inputs[0]) == layout(layer.outputs[0]);
}

// What overlaps with the neighbors (ZeRO-3 gathers, ZeRO-2 and 3 reductions) is seen as the second of two equal layers
// sees it; a layer that cannot follow itself shows all of it.
Passes steady_passes(const std::shared_ptr<const LayerProgram>& layer, const DeriveContext& context,
                     const Prices& prices) {
  const bool overlaps =
      std::ranges::any_of(layer->buckets, [](const Bucket& b) { return b.split_gradient || b.split_storage; });
  if (!overlaps || !chains(*layer)) return time_passes(alone(*layer), context, prices);
  const LinkContext link_context{
      .derive = context, .next_inputs = input_layouts(*layer), .first = false, .last = false};
  const Passes one = time_passes(link({layer}, link_context), context, prices);
  const Passes two = time_passes(link({layer, layer}, link_context), context, prices);
  return {.forward = two.forward - one.forward,
          .backward = two.backward - one.backward,
          .backlog = two.backlog - one.backlog};
}

}  // namespace

LayerCost layer_cost(const std::shared_ptr<const LayerProgram>& layer, const DeriveContext& context,
                     const Prices& prices) {
  const StageProgram stage = alone(*layer);
  const Passes passes = steady_passes(layer, context, prices);
  LayerCost cost{.forward = passes.forward, .backward = passes.backward};
  // The last micro-batch's backward hides as much of the reductions as it is long.
  cost.update = std::max(Picoseconds{0}, passes.backlog - passes.backward);
  ListRunner runner{.stage = stage, .prices = prices, .context = context, .at = {}};
  Timeline update(prices.slowdown());
  for (const Instruction& i : stage.update)
    if (i.kind != InstructionKind::norm && i.kind != InstructionKind::reduce_wait) runner.run(i, update);
  update.wait_all();
  cost.update += update.now();

  std::vector<Action> actions;
  if (!stage.receive.empty()) actions.push_back({ActionKind::receive_forward, 0});
  actions.push_back({ActionKind::forward, 0});
  if (!stage.send.empty())
    for (ActionKind kind : {ActionKind::send_forward, ActionKind::receive_backward}) actions.push_back({kind, 0});
  actions.push_back({ActionKind::backward, 0});
  if (!stage.receive.empty()) actions.push_back({ActionKind::send_backward, 0});
  StageProgram not_last = stage;  // the last micro-batch's reductions are counted apart
  for (auto* list : {&not_last.forward, &not_last.backward})
    std::erase_if(*list, [](const Instruction& i) { return i.last_only; });
  not_last.update.clear();
  const MemoryReplay memory = replay_memory(not_last, actions, context.dtype);
  cost.states = memory.states;
  cost.kept = memory.kept;
  // A layer's output is the next one's input: who reads it in backward keeps it.
  for (SlotId s : stage.send)
    if (!kept_for_backward(stage, s)) cost.kept -= allocated(stage.slots[static_cast<std::size_t>(s)].bytes());
  for (const Bucket& bucket : stage.buckets)
    if (!bucket.split_gradient) cost.pending += reduction_staging(bucket, context.dtype);
  cost.transient = std::max(Bytes{0}, memory.peak - memory.states - cost.kept);
  return cost;
}

namespace {

Picoseconds time_edge(const std::vector<std::pair<Slot, Layout>>& values, const DeviceLine& line,
                      const DeriveContext& context, const Prices& prices) {
  StageProgram stage;
  stage.line = line;
  for (const auto& [slot, to] : values) {
    stage.slots.push_back(slot);
    derivation::redistribute(stage.slots, stage.forward, static_cast<SlotId>(stage.slots.size()) - 1, to, "", line);
  }
  ListRunner runner{.stage = stage, .prices = prices, .context = context, .at = {}};
  Timeline time(prices.slowdown());
  runner.run(stage.forward, time);
  return time.now();
}

}  // namespace

TransitionCost transition_cost(const LayerProgram& from, const LayerProgram& to, const DeriveContext& context,
                               const Prices& prices) {
  std::vector<std::pair<Slot, Layout>> forward, backward;
  const auto slot = [](const LayerProgram& p, SlotId s) -> const Slot& { return p.slots[static_cast<std::size_t>(s)]; };
  const auto name = [](const LayerProgram& p, ValueId v) { return p.spec->values[static_cast<std::size_t>(v)].name; };
  for (std::size_t k = 0; k < to.inputs.size(); ++k)
    for (std::size_t o = 0; o < from.outputs.size(); ++o) {
      if (from.outputs.size() > 1 && name(from, from.spec->outputs[o]) != name(to, to.spec->inputs[k])) continue;
      forward.emplace_back(slot(from, from.outputs[o]), slot(to, to.inputs[k]).layout);
      if (k < to.input_gradients.size() && o < from.output_gradients.size() && to.input_gradients[k] >= 0)
        backward.emplace_back(slot(to, to.input_gradients[k]), slot(from, from.output_gradients[o]).layout);
      break;
    }
  const DeviceLine& line = from.placement.line();
  return {.forward = time_edge(forward, line, context, prices), .backward = time_edge(backward, line, context, prices)};
}

}  // namespace trellis
