// Costs of a single layer and of an edge between two. Internal to the plan side.
#pragma once

#include "trellis/plan/cost.h"

namespace trellis {

LayerCost layer_cost(const std::shared_ptr<const LayerProgram>&, const DeriveContext&, const Prices&);
TransitionCost transition_cost(const LayerProgram& from, const LayerProgram& to, const DeriveContext&, const Prices&);

// What layers with these placements, and nothing else, are derived under.
DeriveContext context_of(const GlobalChoice&, const std::vector<const Placement*>&, const OpLibrary&, Dtype);

}  // namespace trellis
