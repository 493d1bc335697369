// Which of the plans with the same step is the answer. The search finds one of them; keeping them all would be keeping
// every order of equal layers.
#pragma once

#include "trellis/plan/search.h"

namespace trellis::exact_search {

// A plan of the problem that takes as long and fits, with a smaller largest stage, else with fewer changes of strategy
// between neighboring layers, else with lower candidates, by layer; or the plan itself. What is tried: other candidates
// for a layer, for a run of layers that are equal, for all neighbors of a kind in a stage; equal candidates of a kind
// side by side; a layer moved to the next stage; the same strategies under another schedule or order of atoms. No two of
// these at once: where none is
// better there may still be a plan that is. And in a plan of many layers and micro-batches it ends after so much work.
Plan tidied(const Problem&, const CostOracle&, const Plan&);

}  // namespace trellis::exact_search
