// The layers of a stage as one list of slots and instructions, joined by transitions (derivation rule 4).
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "plan/program/derivation.h"
#include "plan/program/passes.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

class Linker {
 public:
  Linker(const std::vector<std::shared_ptr<const LayerProgram>>& layers, const LinkContext& context)
      : layers_(layers), context_(context) {}

  StageProgram run() {
    if (layers_.empty()) fail(ExitCode::infeasible, "a pipeline stage needs at least one layer");
    out_.line = layers_.front()->placement.line();
    out_.first_layer = context_.first_layer;
    for (std::size_t i = 0; i < layers_.size(); ++i) add_layer(static_cast<int>(i));
    leave_stage();
    for (std::size_t i = layers_.size(); i-- > 0;) add_backward(static_cast<int>(i));
    if (!context_.first)
      for (SlotId s : layers_.front()->input_gradients) out_.send_gradient.push_back(map(0, s));
    passes::reduce_shared_once(out_);
    passes::overlap_gathers(out_.forward);
    passes::overlap_gathers_and_reductions(out_.backward);
    passes::hoist_repeated_gathers(out_.backward);
    passes::add_in_place(out_);
    passes::add_frees(out_);
    return std::move(out_);
  }

 private:
  SlotId map(int layer, SlotId s) const { return s < 0 ? s : maps_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(s)]; }

  void add_layer(int i) {
    const LayerProgram& layer = *layers_[static_cast<std::size_t>(i)];
    out_.specs.push_back(layer.spec);
    out_.placements.push_back(layer.placement);
    std::vector<SlotId>& slots = maps_.emplace_back(layer.slots.size(), -1);
    for (std::size_t k = 0; k < layer.inputs.size(); ++k) {
      if (i == 0) continue;
      const Layout& want = layer.slots[static_cast<std::size_t>(layer.inputs[k])].layout;
      slots[static_cast<std::size_t>(layer.inputs[k])] = transition(out_.forward, i, output_of(i - 1, layer, k), want);
    }
    for (std::size_t s = 0; s < slots.size(); ++s) {
      if (slots[s] >= 0) continue;
      slots[s] = static_cast<SlotId>(out_.slots.size());
      out_.slots.push_back(layer.slots[s]);
      out_.slots.back().layer = i;
    }
    if (i == 0)
      for (SlotId s : layer.inputs) out_.receive.push_back(map(0, s));
    for (const FieldUse& use : layer.fields) out_.fields.push_back({use.value, map(i, use.slot)});
    for (SlotId s : layer.losses) out_.losses.push_back(map(i, s));
    add_buckets(i, layer);
    for (const Instruction& instruction : layer.forward) out_.forward.push_back(mapped(i, instruction));
  }

  // The slot of the layer before that carries the k-th input, by its name on the edge.
  SlotId output_of(int before, const LayerProgram& layer, std::size_t k) const {
    const LayerProgram& producer = *layers_[static_cast<std::size_t>(before)];
    return map(before, producer.outputs[matching(*producer.spec, producer.spec->outputs, *layer.spec, layer.spec->inputs[k])]);
  }
  static std::size_t matching(const LayerSpec& there, const std::vector<ValueId>& edge, const LayerSpec& here, ValueId wanted) {
    const std::string& name = here.values[static_cast<std::size_t>(wanted)].name;
    for (std::size_t o = 0; o < edge.size(); ++o)
      if (edge.size() == 1 || there.values[static_cast<std::size_t>(edge[o])].name == name) return o;
    fail(ExitCode::infeasible, "layer {} takes '{}', and layer {} does not leave it", here.type, name, there.type);
  }

  SlotId transition(Instructions& list, int layer, SlotId from, const Layout& want) {
    const std::size_t first = list.size();
    const SlotId slot = derivation::redistribute(out_.slots, list, from, want, "these two layers are spread differently", out_.line);
    for (std::size_t i = first; i < list.size(); ++i) list[i].layer = layer;
    return slot;
  }

  // In the order in which the next stage takes them.
  void leave_stage() {
    if (context_.last) return;
    const LayerProgram& last = *layers_.back();
    const int i = static_cast<int>(layers_.size()) - 1;
    if (context_.next_inputs.size() != last.outputs.size())
      fail(ExitCode::infeasible, "layer {} leaves {} values and the next stage takes {}", last.spec->type, last.outputs.size(),
           context_.next_inputs.size());
    sent_as_.resize(last.outputs.size());
    for (std::size_t k = 0; k < context_.next_inputs.size(); ++k) {
      const std::size_t output =
          context_.next ? matching(*last.spec, last.spec->outputs, *context_.next, context_.next->inputs[k]) : k;
      sent_as_[output] = k;
      out_.send.push_back(transition(out_.forward, i, map(i, last.outputs[output]), context_.next_inputs[k]));
    }
    for (const SlotId sent : out_.send) {
      Slot slot = out_.slots[static_cast<std::size_t>(sent)];
      slot.name = "d " + slot.name;
      out_.receive_gradient.push_back(static_cast<SlotId>(out_.slots.size()));
      out_.slots.push_back(std::move(slot));
    }
  }

  void add_backward(int i) {
    const LayerProgram& layer = *layers_[static_cast<std::size_t>(i)];
    const bool stage_end = i + 1 == static_cast<int>(layers_.size());
    for (std::size_t k = 0; k < layer.output_gradients.size(); ++k) {
      SlotId arriving;
      if (stage_end) {
        if (context_.last) fail(ExitCode::infeasible, "the last layer ({}) leaves values that nothing takes", layer.spec->type);
        arriving = out_.receive_gradient[sent_as_[k]];
      } else {
        const LayerProgram& next = *layers_[static_cast<std::size_t>(i) + 1];
        const std::size_t input = matching(*next.spec, next.spec->inputs, *layer.spec, layer.spec->outputs[k]);
        arriving = map(i + 1, next.input_gradients[input]);
      }
      const SlotId mine = layer.output_gradients[k];
      maps_[static_cast<std::size_t>(i)][static_cast<std::size_t>(mine)] =
          transition(out_.backward, i, arriving, layer.slots[static_cast<std::size_t>(mine)].layout);
    }
    for (const Instruction& instruction : layer.backward) out_.backward.push_back(mapped(i, instruction));
  }

  Instruction mapped(int layer, Instruction instruction) const {
    instruction.layer = layer;
    for (SlotId& s : instruction.in) s = map(layer, s);
    for (SlotId& s : instruction.out) s = map(layer, s);
    for (SlotId& s : instruction.uses) s = map(layer, s);
    if (instruction.bucket >= 0) instruction.bucket = bucket_maps_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(instruction.bucket)];
    return instruction;
  }

  // A shared parameter that lies equally in two layers of the stage is one bucket: one storage, one gradient.
  BucketId same_bucket(const Bucket& bucket) const {
    if (bucket.shared.empty() || bucket.split_gradient) return -1;
    for (std::size_t b = 0; b < out_.buckets.size(); ++b) {
      const Bucket& other = out_.buckets[b];
      if (other.shared == bucket.shared && other.axes == bucket.axes && other.layouts == bucket.layouts &&
          other.shapes == bucket.shapes && !other.split_gradient && other.split_optimizer == bucket.split_optimizer)
        return static_cast<BucketId>(b);
    }
    return -1;
  }

  void add_buckets(int i, const LayerProgram& layer) {
    std::vector<BucketId>& ids = bucket_maps_.emplace_back();
    auto& places = out_.parameters.emplace_back();
    for (Bucket bucket : layer.buckets) {
      BucketId id = same_bucket(bucket);
      const std::vector<ParameterId> parameters = bucket.parameters;
      if (id < 0) {
        id = static_cast<BucketId>(out_.buckets.size());
        bucket.layer = i;
        bucket.gathered = map(i, bucket.gathered);
        bucket.open = map(i, bucket.open);
        out_.buckets.push_back(std::move(bucket));
      }
      ids.push_back(id);
      for (std::size_t p = 0; p < parameters.size(); ++p) places[parameters[p]] = {id, static_cast<int>(p)};
    }
  }

  const std::vector<std::shared_ptr<const LayerProgram>>& layers_;
  const LinkContext& context_;
  StageProgram out_;
  std::vector<std::vector<SlotId>> maps_;          // by layer: its slots in the stage
  std::vector<std::vector<BucketId>> bucket_maps_;
  std::vector<std::size_t> sent_as_;               // by output of the last layer: its place in the send
};

}  // namespace

StageProgram link(const std::vector<std::shared_ptr<const LayerProgram>>& layers, const LinkContext& context) {
  return Linker(layers, context).run();
}

}  // namespace trellis
