// Which of the plans that take as long as the best one is the answer, over all choices that may have such plans.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "bound.h"
#include "task.h"
#include "trail.h"
#include "trellis/plan/cost.h"

namespace trellis::exact_search {

// A choice that may have some.
struct MayTie {
  const GlobalChoice* choice = nullptr;
  SharedShapes shapes;
  std::vector<Weights> weights;  // of good bounds; none where none was found
  Measure least;                 // no plan of it is less
  Trail trail;                   // of plans that have this measure
};

// The step of a batch that is as good; nothing where none is.
std::optional<Picoseconds> step_as_good(const Score&, std::int64_t batch);
bool may_tie(const MayTie&, const Score&, Bytes largest);

struct TieLimit {
  std::int64_t labels = 0;
  std::function<bool()> out_of_time;
};

struct Tied {
  Plan plan;
  bool is_smallest = false;  // no plan that takes as long has a smaller largest stage
  bool is_first = false;     // none comes before it by any of the order (order.h)
  std::int64_t labels = 0;
};

// `plan` is as good as any, which is not asked again, and tidied.
Tied first_of_ties(const Problem&, const CostOracle&, const Plan& plan, std::vector<MayTie>, const TieLimit&);

}  // namespace trellis::exact_search
