// Prices of memory at every place of every stage, moved to where the bound of a cut is highest.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bound.h"
#include "task.h"

namespace trellis::exact_search {

struct Ascent {
  std::vector<std::shared_ptr<const Bound>> tried;  // in the order in which they were
  std::vector<MemoryPrice> best;                    // by stage, those of the highest bound
};

// From the prices in `weights` on; `solve` is asked for the bound with others, and whether to go on.
// A step follows what the bound's path lacks or has left at every place (a subgradient), as far as would raise the
// bound to a level that is lowered while it is not reached.
using SolvePrices = std::function<std::shared_ptr<const Bound>(const Weights&)>;
Ascent ascend(const Task&, Weights, const std::vector<int>& ends, int steps, const SolvePrices& solve);

}  // namespace trellis::exact_search
