// What one layer costs, read off its program: times by replaying its instructions, memory by replaying its slots.
#include "plan/cost/layer_costs.h"

#include <algorithm>
#include <numeric>

#include "plan/cost/timeline.h"
#include "plan/program/passes.h"

namespace trellis {

bool pads_sequences(const ModelSpec& model, std::int64_t multiple) {
  return std::ranges::any_of(model.layers, [&](const auto& layer) {
    return std::ranges::any_of(layer->dims, [&](const Dim& d) { return d.role == kSequence && d.size % multiple != 0; });
  });
}

SharedShapes shared_shapes(const ModelSpec& model, const GlobalChoice& choice,
                           const std::vector<const Placement*>& placements) {
  SharedShapes shapes;
  std::int64_t multiple = 1;
  for (const Placement* p : placements) {
    multiple = std::lcm(multiple, p->multiple(kBatch));
    shapes.sequence_multiple = std::lcm(shapes.sequence_multiple, p->multiple(kSequence));
  }
  if (shapes.sequence_multiple > 1 && !pads_sequences(model, shapes.sequence_multiple)) shapes.sequence_multiple = 1;
  const std::int64_t samples = (choice.batch + choice.micro_batches - 1) / choice.micro_batches;
  shapes.micro_batch = (samples + multiple - 1) / multiple * multiple;
  return shapes;
}

DeriveContext context_of(const SharedShapes& shapes, const OpLibrary& ops, Dtype dtype) {
  DeriveContext context{.dtype = dtype, .ops = &ops};
  context.micro_batch = shapes.micro_batch;
  context.sequence_multiple = shapes.sequence_multiple;
  return context;
}

StageProgram alone(const LayerProgram& layer) { return alone_of(layer); }

StageProgram alone_of(LayerProgram layer) {
  StageProgram stage;
  stage.line = layer.placement.line();
  stage.specs.push_back(std::move(layer.spec));
  stage.placements.push_back(std::move(layer.placement));
  stage.slots = std::move(layer.slots);
  stage.buckets = std::move(layer.buckets);
  stage.forward = std::move(layer.forward), stage.backward = std::move(layer.backward);
  stage.fields = std::move(layer.fields);
  stage.receive = std::move(layer.inputs), stage.send = std::move(layer.outputs);
  stage.receive_gradient = std::move(layer.output_gradients), stage.send_gradient = std::move(layer.input_gradients);
  stage.losses = layer.losses;
  auto& places = stage.parameters.emplace_back();
  for (std::size_t b = 0; b < stage.buckets.size(); ++b)
    for (std::size_t p = 0; p < stage.buckets[b].parameters.size(); ++p)
      places[stage.buckets[b].parameters[p]] = {static_cast<BucketId>(b), static_cast<int>(p)};
  passes::add_in_place(stage);
  passes::add_frees(stage);
  std::vector<StageProgram> pipeline;
  pipeline.push_back(std::move(stage));
  link_updates(pipeline);
  return std::move(pipeline.front());
}

namespace {

// Derived from the layer's ops alone, not from its buckets.
bool is_of_compute(InstructionKind kind) {
  switch (kind) {
    case InstructionKind::forward:
    case InstructionKind::input_gradient:
    case InstructionKind::weight_gradient:
    case InstructionKind::backward:
    case InstructionKind::add:
    case InstructionKind::slice:
    case InstructionKind::start:
    case InstructionKind::wait: return true;
    default: return false;
  }
}

struct TimedPass {
  PassCost cost;
  Picoseconds reduce_each{0}, reduce_last{0};
};

// Gathers and reductions are taken out: neighbors hide them.
TimedPass time_pass(const Instructions& list, const std::vector<Price>& compute, const StageProgram& stage,
                    const DeriveContext& context, const Prices& prices, Location at) {
  TimedPass pass;
  Timeline time(prices.slowdown());
  std::map<SlotId, Picoseconds> moves;
  auto next = compute.begin();
  for (const Instruction& i : list) {
    if (i.kind == InstructionKind::free) continue;
    const Price price = is_of_compute(i.kind) ? *next++ : prices.price(stage, i, context, at);
    switch (i.kind) {
      case InstructionKind::gather_start:
        pass.cost.gather += price.transfer;
        break;
      case InstructionKind::reduce_start:
        (i.last_only ? pass.reduce_last : pass.reduce_each) += price.transfer;
        break;
      case InstructionKind::gather_wait:
        break;
      case InstructionKind::start:
        time.compute(price.compute);
        moves[i.out.front()] = time.start(price.transfer);
        pass.cost.link += price.transfer;
        break;
      case InstructionKind::wait:
        if (const auto started = moves.find(i.out.front()); started != moves.end()) time.wait(started->second);
        time.compute(price.compute);
        break;
      default:
        if (!i.last_only) time.compute(price.compute);
    }
  }
  time.wait_all();
  pass.cost.busy = time.now();
  pass.cost.link = std::min(pass.cost.link, pass.cost.busy);
  return pass;
}

}  // namespace

AxisList whole_line(const DeviceLine& line) {
  AxisList all(line.atoms.size());
  std::iota(all.begin(), all.end(), Atom{0});
  return all;
}

namespace {

// The optimizer and what it gathers, with the reading of gradients for the norm; waiting for others is not a layer's.
Picoseconds time_update(const StageProgram& stage, const DeriveContext& context, const Prices& prices, Location at) {
  ListRunner runner{.stage = stage, .prices = prices, .context = context, .at = at};
  Timeline update(prices.slowdown());
  for (const Instruction& i : stage.update) {
    if (i.kind == InstructionKind::norm)
      update.compute(prices.price(stage, i, context, at).compute -
                     prices.collective(MoveKind::all_reduce, Bytes{8}, stage.line, whole_line(stage.line), at));
    else if (i.kind != InstructionKind::reduce_wait) runner.run(i, update);
  }
  update.wait_all();
  return update.now();
}

bool kept_for_backward(const StageProgram& stage, SlotId s) {
  return std::ranges::any_of(stage.backward, [s](const Instruction& i) { return std::ranges::count(i.in, s) > 0; });
}

std::vector<Action> one_micro_batch(const StageProgram& stage) {
  std::vector<Action> actions;
  if (!stage.receive.empty()) actions.push_back({ActionKind::receive_forward, 0});
  actions.push_back({ActionKind::forward, 0});
  if (!stage.send.empty())
    for (ActionKind kind : {ActionKind::send_forward, ActionKind::receive_backward}) actions.push_back({kind, 0});
  actions.push_back({ActionKind::backward, 0});
  if (!stage.receive.empty()) actions.push_back({ActionKind::send_backward, 0});
  return actions;
}

void add_memory(LayerCost& cost, const StageProgram& stage, Dtype dtype) {
  const std::vector<Action> actions = one_micro_batch(stage);
  for (const Bucket& bucket : stage.buckets) {
    if (bucket.split_storage) cost.gathered += allocated(size_of(dtype) * bucket.elements);
    if (bucket.split_gradient)
      cost.held += allocated(size_of(gradient_dtype(dtype)) * bucket.elements) + reduction_staging(bucket, dtype);
    else cost.pending += reduction_staging(bucket, dtype);
    if (bucket.owner && bucket.split_optimizer && !bucket.split_storage)
      cost.update_bytes += allocated(size_of(dtype) * bucket.shard());
  }
  for (const Instruction& i : stage.forward)
    if (i.kind == InstructionKind::reduce_start)
      cost.early += reduction_staging(stage.buckets[static_cast<std::size_t>(i.bucket)], dtype);
  const MemoryReplay last = replay_memory(stage, actions, dtype);
  const MemoryReplay others = replay_memory_before_last(stage, actions, dtype);
  cost.states = others.states;
  cost.kept = others.kept;
  // A layer's output is the next one's input: who reads it in backward keeps it. What a layer carries is kept by the last
  // one that has it so (EdgeCost::kept).
  for (SlotId s : stage.send)
    if (!kept_for_backward(stage, s) || std::ranges::count(stage.receive, s) > 0) cost.kept -= allocated(stage.slots[static_cast<std::size_t>(s)].bytes());
  cost.forward_peak = last.forward_peak - last.states;
  cost.backward_peak = others.backward_peak - others.states;
  cost.last_peak = last.backward_peak - last.states;
}

}  // namespace

ComputePrices compute_prices(const StageProgram& stage, const DeriveContext& context, const Prices& prices,
                             Location at) {
  const auto priced = [&](const Instructions& list) {
    std::vector<Price> found;
    for (const Instruction& i : list)
      if (is_of_compute(i.kind)) found.push_back(prices.price(stage, i, context, at));
    return found;
  };
  return {.forward = priced(stage.forward), .backward = priced(stage.backward)};
}

LayerCost layer_cost(const StageProgram& stage, const ComputePrices& compute, const DeriveContext& context,
                     const Prices& prices, Location at) {
  LayerCost cost;
  const TimedPass forward = time_pass(stage.forward, compute.forward, stage, context, prices, at);
  const TimedPass backward = time_pass(stage.backward, compute.backward, stage, context, prices, at);
  cost.forward = forward.cost, cost.backward = backward.cost;
  cost.reduce_each = forward.reduce_each + backward.reduce_each;
  cost.reduce_last = forward.reduce_last + backward.reduce_last;
  cost.update = time_update(stage, context, prices, at);
  add_memory(cost, stage, context.dtype);
  return cost;
}

}  // namespace trellis
