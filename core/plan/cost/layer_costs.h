// Costs of a single layer, of an edge between two, and of a shared parameter. Internal to the plan side.
#pragma once

#include <string>
#include <vector>

#include "trellis/plan/cost.h"

namespace trellis {

StageProgram alone_of(LayerProgram);  // alone(), without a copy

// What the instructions of a layer on its own take, in order, but for those that are there for its buckets: alike
// however the lives of its parameters are split.
struct ComputePrices {
  std::vector<Price> forward, backward;
};
ComputePrices compute_prices(const StageProgram&, const DeriveContext&, const Prices&, Location);

// Of a layer on its own; `entry` and `exit` of the cost are left at 0.
LayerCost layer_cost(const StageProgram&, const ComputePrices&, const DeriveContext&, const Prices&, Location);

// As replay_memory(), of micro-batches that are not the last of the step.
MemoryReplay replay_memory_before_last(const StageProgram&, const std::vector<Action>&, Dtype compute);

// Within a stage; and that with the transfers to the next stage, whose line follows.
EdgeCost edge_cost(const LayerProgram& from, const LayerProgram& to, const DeriveContext&, const Prices&, Location);
EdgeCost stage_edge_cost(const EdgeCost& inside, const LayerProgram& from, const LayerProgram& to, const Prices&, Location);

// What edges depend on: equal texts, equal edges to and from whatever other layer.
std::string entry_text(const LayerProgram&);
std::string exit_text(const LayerProgram&);

TieCost tie_cost(const LayerProgram& owner, const LayerProgram& use, const std::string& shared, bool same_stage,
                 const DeriveContext&, const Prices&, Location);

// All axes of a line.
AxisList whole_line(const DeviceLine&);

DeriveContext context_of(const SharedShapes&, const OpLibrary&, Dtype);

}  // namespace trellis
