// A plan with the candidates that its layers have in a problem. Internal to the plan side.
#pragma once

#include <optional>
#include <vector>

#include "trellis/plan/cost.h"

namespace trellis {

struct PlacedPlan {
  const GlobalChoice* choice = nullptr;  // of the problem
  std::vector<const Candidate*> layers;  // of the problem
};
// Nothing where the plan is not in the space.
std::optional<PlacedPlan> placed(const Problem&, const Plan&);

}  // namespace trellis
