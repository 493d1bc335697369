// Random plans for the equivalence gate: every dimension mixed, layer by layer.
#pragma once

#include <cstdint>
#include <string>

#include "trellis/plan/plan_file.h"

namespace trellis {

struct RandomPlanOptions {
  int devices = 8;
  int max_stages = 4;
  std::int64_t max_batch = 10;
  int max_micro_batches = 4;
};

// Plan `index` of a seed: it compiles, and is the same whatever other plans were drawn. Draws again where a drawn
// combination of layers does not fit.
TRELLIS_API Plan random_plan(const ModelSpec&, const Dimensions&, const OpLibrary&, Dtype, const RandomPlanOptions&,
                             std::uint64_t seed, std::uint64_t index);

// "8 devices as 2 stages of 2x2, 1f1b, batch 7 in 3; 0: tp 2; 1: ..." in one line.
TRELLIS_API std::string one_line(const Plan&);

}  // namespace trellis
