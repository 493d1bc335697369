// The exact front of step time against memory right at a budget: its point there and the points next to that one.
//
// A plan is on the front where nothing is as fast with fewer bytes in its largest stage. From point to point the front
// is a staircase; what a step of it costs is what the next byte that matters is worth. A single step may be a small one
// that saves much, or the other way round: MemoryPrice tells what memory is worth over 5 % of it.
//
// Not thread-safe: a solver may read options.
#pragma once

#include <limits>
#include <optional>

#include "trellis/plan/export.h"
#include "trellis/plan/whatif.h"

namespace trellis {

struct FrontNeighbor {
  std::optional<FrontPoint> point;  // the nearest known; nothing: none is known
  bool is_proven = false;           // that it is the neighbor; without a point, that there is none
};

struct FrontSteps {
  FrontPoint here;            // the best plan of the budget; of those as fast, the smallest known
  bool is_point = false;      // proven: nothing in the budget is faster, and nothing smaller as fast
  FrontNeighbor below;        // of all plans with fewer bytes in the largest stage the best; of those as fast, the smallest
  FrontNeighbor above;        // of all faster plans those with the fewest bytes; of these the fastest
  Bytes nothing_faster_in{0};  // above begins beyond so much, as far as is proven; 0: nothing is proven of that
  int solved = 0;
};

struct StepLimits {  // of the search for each neighbor
  int solves = 24;
  double seconds = std::numeric_limits<double>::infinity();  // nothing new begins after these
};

// `known`: the price of memory at the problem's budget (uniform), whose plans are where this begins.
TRELLIS_API FrontSteps front_steps(const Problem&, const CostOracle&, const Solver&, const MemoryPrice& known,
                                   const StepLimits&);

}  // namespace trellis
