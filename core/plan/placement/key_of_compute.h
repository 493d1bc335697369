// Internal to the plan side.
#pragma once

#include <string>

#include "trellis/plan/placement.h"

namespace trellis {

// Placement::key() but for the lives that are split: placements with equal ones differ in nothing else.
std::string key_of_compute(const Placement&);

}  // namespace trellis
