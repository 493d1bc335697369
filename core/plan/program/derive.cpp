#include <fmt/format.h>

#include "plan/program/shared_derivation.h"
#include "trellis/plan/error.h"

namespace trellis {

Bytes Slot::bytes() const { return size_of(dtype) * elements(shape); }

Dtype gradient_dtype(Dtype compute) { return compute == Dtype::f64 ? Dtype::f64 : Dtype::f32; }

std::string DeriveContext::key() const { return fmt::format("{} {} {} {}", micro_batch, sequence_multiple, name_of(dtype), fuse); }

std::string_view name_of(InstructionKind kind) {
  switch (kind) {
    case InstructionKind::forward: return "forward";
    case InstructionKind::input_gradient: return "input_gradient";
    case InstructionKind::weight_gradient: return "weight_gradient";
    case InstructionKind::backward: return "backward";
    case InstructionKind::add: return "add";
    case InstructionKind::slice: return "slice";
    case InstructionKind::start: return "start";
    case InstructionKind::wait: return "wait";
    case InstructionKind::gather_start: return "gather_start";
    case InstructionKind::gather_wait: return "gather_wait";
    case InstructionKind::open_gradient: return "open_gradient";
    case InstructionKind::reduce_start: return "reduce_start";
    case InstructionKind::reduce_wait: return "reduce_wait";
    case InstructionKind::free: return "free";
    case InstructionKind::tie_gradient: return "tie_gradient";
    case InstructionKind::norm: return "norm";
    case InstructionKind::adamw: return "adamw";
    case InstructionKind::tie_parameter: return "tie_parameter";
  }
  return "?";
}

std::string_view name_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::parameter: return "parameter";
    case Purpose::gradient: return "gradient";
    case Purpose::optimizer: return "optimizer";
    case Purpose::activation: return "activation";
    case Purpose::transient: return "transient";
    case Purpose::communication: return "communication";
  }
  return "?";
}

Derivation::Derivation(std::shared_ptr<const LayerSpec> spec, const Placement& placement, const DeriveContext& context)
    : spec_(std::move(spec)), placement_(placement), context_(context), draft_{*spec_, placement_, context_, {}, {}, {}} {
  if (!context_.ops) fail(ExitCode::failure, "a derivation needs an op library");
  derivation::derive_forward(draft_);
  derivation::derive_backward(draft_);
  draft_.program.spec = spec_;
  draft_.program.placement = placement_;
}

LayerProgram Derivation::program(const Placement& placement) const {
  LayerProgram program = draft_.program;
  program.placement = placement;
  derivation::derive_buckets(draft_, placement, program);
  return program;
}

LayerProgram derive(std::shared_ptr<const LayerSpec> spec, const Placement& placement, const DeriveContext& context) {
  return Derivation(std::move(spec), placement, context).program(placement);
}

std::vector<Layout> input_layouts(const LayerProgram& program) {
  std::vector<Layout> layouts;
  for (SlotId s : program.inputs) layouts.push_back(program.slots[static_cast<std::size_t>(s)].layout);
  return layouts;
}

std::vector<const Move*> moves(const Instructions& list) {
  std::vector<const Move*> found;
  for (const Instruction& i : list)
    if (i.kind == InstructionKind::start) found.push_back(&i.move);
  return found;
}

}  // namespace trellis
