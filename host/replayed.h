// The finer replay's step beside the cost model's, which searches compare.
#pragma once

#include <optional>
#include <string>

#include "host/planning.h"

namespace trellis::host {

// In which transfers of different layers share the link. Nothing where a plan has so many instructions and actions that
// this would take more than a moment.
std::optional<Picoseconds> replayed_step(const Planning&, const Plan&);

// "250.98 ms a step, 15.6 % more than predicted"
std::string beside_prediction(Picoseconds replayed, Picoseconds predicted);

}  // namespace trellis::host
