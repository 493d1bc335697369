// What memory is worth at a plan's budget, for people and for machines.
#pragma once

#include "host/what_if_words.h"
#include "plan/whatif/front_steps.h"

namespace trellis::host {

// `beside`: the plan whose answers those are beside, in json; text is beside the best plan of the budget.
void print(const Planning&, const MemoryPrice&, const FrontSteps&);
nlohmann::json to_json(const BesidePlan& beside, const MemoryPrice&, const FrontSteps&);

}  // namespace trellis::host
