// One layer on its own under placements that differ in nothing but the lives that they split (ZeRO), as one program. It
// has the steps of them all; those that a placement does not ask for are blank. Internal to the plan side.
#pragma once

#include <vector>

#include "plan/program/shared_derivation.h"

namespace trellis {

class LayerVariants {
 public:
  explicit LayerVariants(const Derivation&);

  // Takes as long, and as much memory, as alone(derive(...)) under this placement. Good until the next call.
  const StageProgram& under(const Placement&);

 private:
  struct Step {
    Instructions StageProgram::* list;
    std::size_t at;
    InstructionKind kind;
  };
  std::vector<StageProgram> alone_;  // a pipeline of one stage
  std::vector<Step> steps_;          // of buckets
};

}  // namespace trellis
