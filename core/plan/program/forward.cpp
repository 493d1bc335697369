// Forward, op by op (derivation rules 1 to 4): inputs in the op's own layout, moved where they stand otherwise.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "plan/program/derivation.h"
#include "trellis/plan/error.h"

namespace trellis::derivation {

SlotId Draft::add_slot(std::string name, const std::vector<DimId>& dims, Layout layout, Dtype dtype, ValueId value,
                       Purpose purpose) {
  Slot slot{.name = std::move(name), .shape = {}, .dtype = dtype, .layout = std::move(layout), .global = {}, .value = value,
            .purpose = purpose};
  for (DimId d : dims) slot.global.push_back(padded_size(spec.dims[static_cast<std::size_t>(d)], context));
  slot.shape = local_shape(slot.global, slot.layout, line());
  program.slots.push_back(std::move(slot));
  return static_cast<SlotId>(program.slots.size()) - 1;
}

namespace {

class Forward {
 public:
  explicit Forward(Draft& draft) : d_(draft), available_(draft.spec.values.size()) {}

  void run() {
    LayerProgram& program = d_.program;
    program.slots.reserve(4 * d_.spec.ops.size());  // with those of backward
    program.forward.reserve(2 * d_.spec.ops.size());
    d_.ops.reserve(d_.spec.ops.size());
    for (ValueId v : d_.spec.inputs) {
      const Value& value = value_of(v);
      Layout layout = layout_in(d_.spec, value.dims, kResidual, d_.placement);
      const SlotId slot = d_.add_slot(value.name, value.dims, std::move(layout), d_.context.dtype, v, Purpose::activation);
      available_[static_cast<std::size_t>(v)].push_back(slot);
      program.inputs.push_back(slot);
    }
    for (std::size_t i = 0; i < d_.spec.ops.size(); ++i) add_op(static_cast<int>(i));
    for (ValueId v : d_.spec.outputs) program.outputs.push_back(available_.at(static_cast<std::size_t>(v)).front());
    for (ValueId v : d_.spec.losses) program.losses.push_back(available_.at(static_cast<std::size_t>(v)).front());
  }

 private:
  const Value& value_of(ValueId v) const { return d_.spec.values[static_cast<std::size_t>(v)]; }

  SlotId field_slot(ValueId v, const Layout& want) {
    for (const FieldUse& use : d_.program.fields)
      if (use.value == v && d_.program.slots[static_cast<std::size_t>(use.slot)].layout == want) return use.slot;
    const Dtype dtype = value_of(v).kind == ValueKind::integer ? Dtype::i64 : d_.context.dtype;
    const SlotId slot = d_.add_slot(value_of(v).name, value_of(v).dims, want, dtype, v, Purpose::activation);
    d_.program.slots[static_cast<std::size_t>(slot)].field = true;
    d_.program.fields.push_back({v, slot});
    return slot;
  }

  const Slot& slot_at(SlotId s) const { return d_.program.slots[static_cast<std::size_t>(s)]; }

  SlotId nearest(const std::vector<SlotId>& standing, const Layout& want) const {
    SlotId source = -1;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (SlotId s : standing) {
      const Slot& slot = slot_at(s);
      if (s != standing.front() && !slot.layout.partial.empty()) continue;
      std::int64_t bytes = 0;
      for (const Move& m : plan_redistribution(slot.global, slot.dtype, slot.layout, want, d_.line())) bytes += m.bytes.value;
      if (bytes < least) least = bytes, source = s;
    }
    return source;
  }

  // The value in that layout: one that stands so already, or moved from where that costs least.
  SlotId value_in(ValueId v, const Layout& want, const Op& consumer) {
    if (d_.spec.is_field(v)) return field_slot(v, want);
    auto& standing = available_[static_cast<std::size_t>(v)];
    if (standing.empty()) fail(ExitCode::failure, "{} {}: input '{}' is not made before it is used", d_.spec.type, consumer.name, value_of(v).name);
    for (SlotId s : standing)
      if (slot_at(s).layout == want) return s;
    const SlotId source = standing.size() == 1 ? standing.front() : nearest(standing, want);
    std::vector<SlotId> made;
    const std::size_t first = d_.program.forward.size();
    const SlotId slot = redistribute(d_.program.slots, d_.program.forward, source, want, reason(source, want, consumer), d_.line(), &made);
    for (std::size_t i = first; i < d_.program.forward.size(); ++i)
      d_.producers[d_.program.forward[i].out.front()].push_back(static_cast<int>(i));
    standing.insert(standing.end(), made.begin(), made.end());
    return slot;
  }

  std::string reason(SlotId source, const Layout& want, const Op& consumer) const {
    const Slot& slot = d_.program.slots[static_cast<std::size_t>(source)];
    const auto& dims = value_of(slot.value).dims;
    if (slot.layout.partial != want.partial)
      return fmt::format("{} left a partial sum, and {} takes it whole", slot.name, consumer.name);
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (slot.layout.split[i] == want.split[i]) continue;
      const std::string& dim = d_.spec.dims[static_cast<std::size_t>(dims[i])].name;
      const int has = d_.line().degree(slot.layout.split[i]), takes = d_.line().degree(want.split[i]);
      if (takes == 1) return fmt::format("{} needs all of {}, which is cut {} ways", consumer.name, dim, has);
      if (has == takes) return fmt::format("{} takes {} cut over other devices", consumer.name, dim);
      return fmt::format("{} takes {} cut {} ways{}", consumer.name, dim, takes, has == 1 ? "" : fmt::format(", not {}", has));
    }
    return {};
  }

  // A bias that alone reads a product which is not Partial is added in the product's kernel.
  int product_to_fuse(const Op& op, const PlacedOp& placed) const {
    if (!d_.context.fuse || op.kind != "bias") return -1;
    for (std::size_t i = 0; i < d_.ops.size(); ++i) {
      const Op& product = d_.spec.ops[i];
      if (product.output != op.inputs[0] || product.kind != "linear") continue;
      const auto uses = std::ranges::count_if(d_.spec.ops, [&](const Op& o) { return std::ranges::find(o.inputs, op.inputs[0]) != o.inputs.end(); });
      const bool leaves = std::ranges::find(d_.spec.outputs, product.output) != d_.spec.outputs.end();
      if (uses == 1 && !leaves && d_.ops[i].placed.output == placed.inputs[0] && d_.ops[i].forward == last_forward_) return static_cast<int>(i);
    }
    return -1;
  }

  void add_op(int index) {
    const Op& op = d_.spec.ops[static_cast<std::size_t>(index)];
    OpRecord record;
    record.placed = place_op(d_.spec, op, d_.placement, d_.context);
    const Value& out = value_of(op.output);
    const bool scalar_loss = std::ranges::find(d_.spec.losses, op.output) != d_.spec.losses.end();
    record.output = d_.add_slot(out.name, out.dims, record.placed.output, scalar_loss ? gradient_dtype(d_.context.dtype) : d_.context.dtype,
                                op.output, Purpose::activation);
    if (const int product = product_to_fuse(op, record.placed); product >= 0) {
      OpRecord& made = d_.ops[static_cast<std::size_t>(product)];
      Instruction& instruction = d_.program.forward[static_cast<std::size_t>(made.forward)];
      instruction.fused = index;
      instruction.out[0] = record.output;
      record.forward = made.forward;
      record.inputs = {-1};
      made.output = -1;
      d_.producers[record.output] = {made.forward};
    } else {
      for (std::size_t i = 0; i < op.inputs.size(); ++i) record.inputs.push_back(value_in(op.inputs[i], record.placed.inputs[i], op));
      emit(op, index, record);
    }
    available_[static_cast<std::size_t>(op.output)] = {record.output};
    d_.ops.push_back(std::move(record));
  }

  void emit(const Op& op, int index, OpRecord& record) {
    const auto extras = record.placed.contract->extras(d_.spec, op);
    Instruction instruction{.kind = InstructionKind::forward, .op = index, .in = record.inputs, .out = {record.output}};
    for (std::size_t e = 0; e < extras.size(); ++e) {
      const Dtype dtype = extras[e].compute_dtype ? d_.context.dtype : extras[e].dtype == Dtype::f32 ? gradient_dtype(d_.context.dtype) : extras[e].dtype;
      record.extras.push_back(d_.add_slot(fmt::format("{}.{}", op.name, extras[e].name), extras[e].dims, record.placed.extras[e], dtype,
                                          op.output, Purpose::activation));
      instruction.out.push_back(record.extras.back());
    }
    instruction.flops = record.placed.contract->flops(record.placed.sizes, Pass::forward);
    instruction.scratch = record.placed.contract->scratch(record.placed.sizes, Pass::forward);
    record.forward = last_forward_ = static_cast<int>(d_.program.forward.size());
    for (SlotId s : instruction.out) d_.producers[s] = {record.forward};
    d_.program.forward.push_back(std::move(instruction));
  }

  Draft& d_;
  std::vector<std::vector<SlotId>> available_;  // by value: the slots in which it stands, as made first
  int last_forward_ = -1;
};

}  // namespace

void derive_forward(Draft& draft) { Forward(draft).run(); }

}  // namespace trellis::derivation
