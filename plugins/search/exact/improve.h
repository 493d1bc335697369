// A plan made better by small changes, as long as one helps.
#pragma once

#include "task.h"

namespace trellis::exact_search {

// Tries, stage by stage, other options for all layers of a kind, or for the first or last half, quarter ... of them, and
// borders moved by a layer; a fixed amount of work at the most. `choice` fits, and the result does.
void improve(const Task&, Choice& choice, PlanValue& value);

// The plans that one such change leads to, whether they fit or not.
void meet_neighbors(const Task&, Choice, const MeetPlan& met);

}  // namespace trellis::exact_search
