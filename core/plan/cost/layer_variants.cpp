#include "plan/cost/layer_variants.h"

#include "plan/cost/layer_costs.h"

namespace trellis {
namespace {

Placement with_all_lives_split(Placement placement) {
  for (const Life life : {Life::storage, Life::gradient, Life::optimizer}) placement.split_state(life);
  return placement;
}

// Whether a bucket that lies so has such a step at all.
bool has(const Bucket& bucket, InstructionKind kind) {
  switch (kind) {
    case InstructionKind::gather_start:
    case InstructionKind::gather_wait:
      return bucket.split_storage;
    case InstructionKind::open_gradient:
    case InstructionKind::reduce_wait:
      return bucket.split_gradient;
    default:
      return true;
  }
}

}  // namespace

LayerVariants::LayerVariants(const Derivation& derivation) {
  alone_.push_back(alone_of(derivation.program(with_all_lives_split(derivation.compute().placement))));
  for (const auto list : {&StageProgram::forward, &StageProgram::backward}) {
    const Instructions& instructions = alone_.front().*list;
    for (std::size_t at = 0; at < instructions.size(); ++at)
      if (instructions[at].bucket >= 0) steps_.push_back({list, at, instructions[at].kind});
  }
}

const StageProgram& LayerVariants::under(const Placement& placement) {
  StageProgram& stage = alone_.front();
  for (Bucket& bucket : stage.buckets) {
    const auto splits = [&](Life life) { return bucket.degree > 1 && placement.splits(life); };
    bucket.owner = true;
    bucket.split_optimizer = splits(Life::optimizer);
    bucket.split_gradient = splits(Life::gradient);
    bucket.split_storage = splits(Life::storage);
  }
  for (const auto& [list, at, kind] : steps_) {
    Instruction& i = (stage.*list)[at];
    const Bucket& bucket = stage.buckets[static_cast<std::size_t>(i.bucket)];
    // Blank: a free of slots that nothing has made, which is none.
    i.kind = has(bucket, kind) ? kind : InstructionKind::free;
    i.last_only = kind == InstructionKind::reduce_start && !bucket.split_gradient;
  }
  link_updates(alone_);
  return stage;
}

}  // namespace trellis
