// Plans drawn by a seed from the whole space of a search: micro-batches, stages and their boundaries, schedule, and the
// strategy of every layer.
#pragma once

#include <cstdint>
#include <vector>

#include "trellis/plan/cost.h"

namespace trellis::bench {

// The same plans for the same seed. Every second one gives all layers of a type the same strategy, as a search's answers
// mostly do; in the others each layer has its own.
std::vector<Plan> draw_plans(const ModelSpec&, const Dimensions&, const OpLibrary&, const SpaceOptions&, int count,
                             std::uint64_t seed);

}  // namespace trellis::bench
