// The inner problem: strategies for the consecutive layers of one stage, the shortest time within a memory budget.
#pragma once

#include <optional>
#include <vector>

#include "trellis/plan/search.h"

namespace trellis::dynamic_programming {

// What the layers of a stage can choose from, as numbers.
struct StageProblem {
  struct Option {
    Picoseconds time{0};                                 // of a whole step: all micro-batches and the update
    Bytes states{0}, kept{0}, transient{0}, pending{0};  // as in LayerCost
  };
  int in_flight = 1;
  std::vector<std::vector<Option>> layers;                          // [layer][candidate]
  std::vector<const std::vector<std::vector<Picoseconds>>*> edges;  // [layer - 1][from][to], of a whole step
};

struct StageSolution {
  std::vector<int> candidates;  // by layer
  Picoseconds time{0};
  Bytes memory{0};  // the peak, as far as sums of layers tell
};

// The fastest solution below `limit` within the budget, if there is one.
//
// First the memory constraint is relaxed: a price of memory gives a lower bound of the time, and, where the path it
// prefers fits, a solution. Then labels (memory, time) per candidate go from the last layer to the first, so that a
// layer's peak meets the activations of the layers before it and not those after it, whose backward has ended. A label
// is dropped where another one dominates it or where the bound says that it cannot become better than what is known; of
// those in one of `cells` equal parts of the budget the fastest is kept. Counts labels.
std::optional<StageSolution> solve_stage(const StageProblem&, Bytes budget, Picoseconds limit, int cells,
                                         std::int64_t& labels);

// The candidates that take the least memory, whatever their time. Nothing where a layer has none.
std::optional<StageSolution> least_memory(const StageProblem&);

// What a candidate that cannot be derived has as its transient.
inline constexpr Bytes kImpossible{INT64_MAX};

}  // namespace trellis::dynamic_programming
