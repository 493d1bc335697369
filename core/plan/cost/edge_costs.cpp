// What stands between two layers: redistribution of the values on the edge, transfers to the next stage, and the
// gradients and parameters of what they share.
#include <fmt/format.h>

#include <algorithm>

#include "plan/cost/layer_costs.h"
#include "plan/cost/timeline.h"
#include "plan/program/derivation.h"

namespace trellis {
namespace {

struct Crossing {
  Slot slot;
  Layout to;
};
struct Crossings {
  std::vector<Crossing> forward, backward;
};

Crossings crossings(const LayerProgram& from, const LayerProgram& to) {
  Crossings found;
  const auto slot = [](const LayerProgram& p, SlotId s) -> const Slot& { return p.slots[static_cast<std::size_t>(s)]; };
  const auto name = [](const LayerProgram& p, ValueId v) -> const std::string& {
    return p.spec->values[static_cast<std::size_t>(v)].name;
  };
  for (std::size_t k = 0; k < to.inputs.size(); ++k)
    for (std::size_t o = 0; o < from.outputs.size(); ++o) {
      if (from.outputs.size() > 1 && name(from, from.spec->outputs[o]) != name(to, to.spec->inputs[k])) continue;
      found.forward.push_back({slot(from, from.outputs[o]), slot(to, to.inputs[k]).layout});
      if (k < to.input_gradients.size() && o < from.output_gradients.size() && to.input_gradients[k] >= 0)
        found.backward.push_back({slot(to, to.input_gradients[k]), slot(from, from.output_gradients[o]).layout});
      break;
    }
  return found;
}

struct Redistribution {
  Picoseconds time{0};
  Bytes alive{0};
};

Redistribution redistribute(const std::vector<Crossing>& values, const DeviceLine& line, const DeriveContext& context,
                            const Prices& prices, Location at) {
  StageProgram stage;
  stage.line = line;
  for (const auto& [slot, to] : values) {
    stage.slots.push_back(slot);
    derivation::redistribute(stage.slots, stage.forward, static_cast<SlotId>(stage.slots.size()) - 1, to, "", line);
  }
  Redistribution result;
  ListRunner runner{.stage = stage, .prices = prices, .context = context, .at = at};
  Timeline time(prices.slowdown());
  runner.run(stage.forward, time);
  result.time = time.now();
  if (stage.forward.empty()) return result;
  for (const Slot& s : stage.slots) result.alive += allocated(s.bytes());
  for (const Instruction& i : stage.forward) result.alive += allocated(i.scratch);
  return result;
}

// A value that the layer hands on as it came, and reads in backward.
bool carried_and_kept(const LayerProgram& layer, std::size_t output) {
  const SlotId s = layer.outputs[output];
  return std::ranges::count(layer.inputs, s) > 0 &&
         std::ranges::any_of(layer.backward, [s](const Instruction& i) { return std::ranges::count(i.in, s) > 0; });
}

// Bytes of such values; `everywhere`: also where the next layer has them in the same layout.
Bytes carried_bytes(const LayerProgram& from, const LayerProgram& to, bool everywhere) {
  Bytes total{0};
  for (std::size_t o = 0; o < from.outputs.size(); ++o) {
    if (!carried_and_kept(from, o)) continue;
    const Slot& slot = from.slots[static_cast<std::size_t>(from.outputs[o])];
    const bool same = std::ranges::any_of(to.inputs, [&](SlotId s) {
      const Slot& other = to.slots[static_cast<std::size_t>(s)];
      return other.name == slot.name && other.layout == slot.layout;
    });
    if (everywhere || !same) total += allocated(slot.bytes());
  }
  return total;
}

}  // namespace

EdgeCost edge_cost(const LayerProgram& from, const LayerProgram& to, const DeriveContext& context, const Prices& prices,
                   Location at) {
  const Crossings values = crossings(from, to);
  const Redistribution forward = redistribute(values.forward, from.placement.line(), context, prices, at);
  const Redistribution backward = redistribute(values.backward, from.placement.line(), context, prices, at);
  return {.forward = forward.time, .backward = backward.time, .bytes = std::max(forward.alive, backward.alive),
          .kept = carried_bytes(from, to, /*everywhere=*/false)};
}

EdgeCost stage_edge_cost(const EdgeCost& inside, const LayerProgram& from, const LayerProgram& to, const Prices& prices,
                         Location at) {
  EdgeCost cost = inside;
  cost.kept = carried_bytes(from, to, /*everywhere=*/true);
  Bytes bytes{0}, alive{0};
  for (const SlotId s : to.inputs) {
    const Bytes size = to.slots[static_cast<std::size_t>(s)].bytes();
    bytes += size, alive += allocated(size);
  }
  const DeviceLine& line = to.placement.line();
  cost.send_forward = cost.send_backward = prices.transfer(bytes, line, at, line.size());
  cost.sent = alive;
  return cost;
}

namespace {

std::string text(const LayerProgram& layer, const std::vector<SlotId>& slots, const std::vector<ValueId>& values) {
  std::string result;
  for (std::size_t k = 0; k < slots.size(); ++k) {
    if (slots[k] < 0) {
      result += "-;";
      continue;
    }
    const Slot& slot = layer.slots[static_cast<std::size_t>(slots[k])];
    result +=
        fmt::format("{} {} {};", k < values.size() ? layer.spec->values[static_cast<std::size_t>(values[k])].name : "",
                    static_cast<int>(slot.dtype), to_string(slot.layout));
    for (const std::int64_t size : slot.global) result += fmt::format(" {}", size);
  }
  return result;
}

}  // namespace

std::string entry_text(const LayerProgram& layer) {
  return text(layer, layer.inputs, layer.spec->inputs) + "|" + text(layer, layer.input_gradients, layer.spec->inputs);
}

std::string exit_text(const LayerProgram& layer) {
  std::string result = text(layer, layer.outputs, layer.spec->outputs) + "|" +
                       text(layer, layer.output_gradients, layer.spec->outputs);
  for (std::size_t o = 0; o < layer.outputs.size(); ++o) result += carried_and_kept(layer, o) ? " carried" : "";
  return result;
}

namespace {

const Bucket* bucket_of(const LayerProgram& layer, const std::string& shared) {
  for (const Bucket& b : layer.buckets)
    if (b.shared == shared) return &b;
  return nullptr;
}

// Of one bucket, with the gathers that follow it left out.
Picoseconds optimizer_time(const Bucket& bucket, const DeriveContext& context, const Prices& prices) {
  StageProgram stage;
  stage.buckets = {bucket};
  return prices.price(stage, {.kind = InstructionKind::adamw, .bucket = 0}, context, {}).compute;
}

// As the linker joins them.
bool same_bucket(const Bucket& a, const Bucket& b) {
  return a.axes == b.axes && a.layouts == b.layouts && a.shapes == b.shapes && !a.split_gradient && !b.split_gradient &&
         a.split_optimizer == b.split_optimizer;
}

}  // namespace

TieCost tie_cost(const LayerProgram& owner, const LayerProgram& use, const std::string& shared, bool same_stage,
                 const DeriveContext& context, const Prices& prices, Location at) {
  const Bucket *first = bucket_of(owner, shared), *later = bucket_of(use, shared);
  TieCost cost;
  if (!first || !later) return cost;
  cost.saved_update = optimizer_time(*later, context, prices);
  if (same_stage && same_bucket(*first, *later)) {
    cost.saved = bucket_memory(*later, context.dtype).total();
    return cost;
  }
  // A further use has no optimizer state.
  cost.saved = bucket_memory(*later, context.dtype).optimizer;
  std::vector<StageProgram> stages;
  for (const LayerProgram* layer : {&owner, &use}) {
    StageProgram& stage = stages.emplace_back();
    stage.line = layer->placement.line();
    stage.specs = {layer->spec};
    stage.slots.push_back(layer->slots.front());
    stage.buckets.push_back(layer == &owner ? *first : *later);
    stage.buckets.back().layer = 0;
  }
  link_updates(stages);
  const Tie& tie = stages.front().ties.front();
  // Without an optimizer of its own its gradient is reduced whole.
  const Bytes reduces = reduction_staging(stages.back().buckets.front(), context.dtype);
  if (!later->split_gradient) cost.pending = std::max(Bytes{0}, reduces - reduction_staging(*later, context.dtype));
  const auto whole = [&](Dtype dtype) { return allocated(size_of(dtype) * elements(later->shapes.front())); };
  for (const bool gradient : {true, false}) {
    Picoseconds& time = gradient ? cost.before : cost.after;
    const auto& moves = gradient ? tie.gradient_moves : tie.parameter_moves;
    const Dtype dtype = gradient ? gradient_dtype(context.dtype) : context.dtype;
    for (const Move& move : moves) {
      time += prices.collective(move.kind, move.bytes, stages.front().line, move.axes, at);
      cost.bytes = std::max(cost.bytes, 2 * whole(dtype) + staging_bytes(move, stages.front().line));
    }
    if (!same_stage)
      time += prices.transfer(size_of(Dtype::f32) * elements(later->shapes.front()), stages.front().line, at,
                              stages.front().line.size());
    cost.bytes = std::max(cost.bytes, 2 * whole(dtype));
  }
  return cost;
}

}  // namespace trellis
