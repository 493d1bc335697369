// The name of a measurement: what a kernel does and on which local sizes, nothing about where it stands in a plan.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "trellis/plan/profile.h"

namespace trellis {
namespace {

std::string text(const Attribute& attribute) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, attribute);
}

// Local sizes of an op's dims, read off the slots and parameters that the instruction touches.
class LocalSizes {
 public:
  LocalSizes(const StageProgram& stage, const Instruction& i)
      : stage_(stage),
        spec_(*stage.specs[static_cast<std::size_t>(i.layer)]),
        op_(spec_.ops[static_cast<std::size_t>(i.op)]),
        sizes_(spec_.dims.size()) {
    const auto& output = spec_.values[static_cast<std::size_t>(op_.output)].dims;
    if (i.kind == InstructionKind::forward) {
      for (std::size_t k = 0; k < op_.input_dims.size(); ++k) note(op_.input_dims[k], at(i.in, k));
      note(output, at(i.out, 0));
    } else {
      note(output, at(i.in, 0));
      for (std::size_t k = 0; k < op_.input_dims.size(); ++k) {
        note(op_.input_dims[k], at(i.in, k + 1));
        note(op_.input_dims[k], at(i.out, k));
      }
      note(output, at(i.in, op_.input_dims.size() + 1));
    }
    for (ParameterId p : op_.parameters) {
      const ParameterPlace place = stage.parameters[static_cast<std::size_t>(i.layer)].at(p);
      const Bucket& bucket = stage.buckets[static_cast<std::size_t>(place.bucket)];
      note(spec_.parameters[static_cast<std::size_t>(p)].dims, bucket.shapes[static_cast<std::size_t>(place.position)]);
    }
  }

  // The output's dims, then those that it lacks: "batch 8 seq 128 ffn 1024 of hidden 256".
  std::string text() const {
    std::string made, read;
    const auto& output = spec_.values[static_cast<std::size_t>(op_.output)].dims;
    for (std::size_t dim = 0; dim < sizes_.size(); ++dim) {
      if (!sizes_[dim]) continue;
      std::string& text = std::ranges::count(output, static_cast<DimId>(dim)) ? made : read;
      const fmt::format_int size(*sizes_[dim]);
      text.append(" ").append(spec_.dims[dim].name).append(" ").append(size.data(), size.size());
    }
    return read.empty() ? made : made + " of" + read;
  }

 private:
  static SlotId at(const std::vector<SlotId>& slots, std::size_t k) { return k < slots.size() ? slots[k] : -1; }
  void note(const std::vector<DimId>& dims, SlotId s) {
    if (s >= 0) note(dims, stage_.slots[static_cast<std::size_t>(s)].shape);
  }
  void note(const std::vector<DimId>& dims, const Shape& shape) {
    for (std::size_t d = 0; d < dims.size() && d < shape.size(); ++d) sizes_[static_cast<std::size_t>(dims[d])] = shape[d];
  }

  const StageProgram& stage_;
  const LayerSpec& spec_;
  const Op& op_;
  std::vector<std::optional<std::int64_t>> sizes_;  // by dim
};

bool is_kernel(InstructionKind kind) {
  return kind == InstructionKind::forward || kind == InstructionKind::input_gradient ||
         kind == InstructionKind::weight_gradient || kind == InstructionKind::backward;
}

// The compute dtype: that of a real activation which the instruction touches.
Dtype compute_dtype(const StageProgram& stage, const Instruction& i) {
  for (const auto* slots : {&i.in, &i.out})
    for (SlotId s : *slots) {
      if (s < 0) continue;
      const Slot& slot = stage.slots[static_cast<std::size_t>(s)];
      if (!slot.field && slot.shape.size() > 1) return slot.dtype;
    }
  return Dtype::f32;
}

}  // namespace

std::string compute_key(const StageProgram& stage, const Instruction& i) {
  if (!is_kernel(i.kind) || i.op < 0) return {};
  const LayerSpec& spec = *stage.specs[static_cast<std::size_t>(i.layer)];
  const Op& op = spec.ops[static_cast<std::size_t>(i.op)];
  std::string key(stage.placements[static_cast<std::size_t>(i.layer)].contract_for(op.kind));
  if (i.fused >= 0) key += "+" + spec.ops[static_cast<std::size_t>(i.fused)].kind;
  key.append(" ").append(name_of(i.kind));
  for (const auto& [name, value] : op.attributes) key.append(" ").append(name).append("=").append(text(value));
  return key.append(LocalSizes(stage, i).text()).append(" ").append(name_of(compute_dtype(stage, i)));
}

}  // namespace trellis
