// A plan that comes early among those with the same step (order.h), by small changes: a start for ties.h, which proves,
// and all there is where that would be too much work.
#pragma once

#include "trellis/plan/search.h"

namespace trellis::exact_search {

// A plan of the problem that takes as long, fits and comes earlier; or the plan itself. What is tried: other candidates
// for a layer, for a run of layers that are equal, for all neighbors of a kind in a stage; equal candidates of a kind
// side by side; a layer moved to the next stage; the same strategies under another schedule or order of atoms. No two of
// these at once: where none comes earlier there may still be a plan that does. And in a plan of many layers and
// micro-batches it ends after so much work.
Plan tidied(const Problem&, const CostOracle&, const Plan&);

}  // namespace trellis::exact_search
