// The instruction lists of one layer in its stage, a line each. Internal to the plan side.
#pragma once

#include <string>

#include "trellis/plan/cost.h"

namespace trellis {

std::string program_text(const CompiledPlan&, int layer, const Prices&);

}  // namespace trellis
