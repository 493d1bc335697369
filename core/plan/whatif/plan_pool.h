// What solves of one problem under different budgets share: the plans that are known, and points of the front. Internal
// to the plan side.
#pragma once

#include <optional>
#include <vector>

#include "trellis/plan/whatif.h"

namespace trellis {

inline constexpr Bytes kNoLimit = Bytes{std::int64_t{1} << 50};

// Plans to begin with, none of which is both slower and larger than another.
class PlanPool {
 public:
  PlanPool(const Problem& problem, const CostOracle& oracle) : problem_(problem), oracle_(oracle) {}

  struct Known {
    Plan plan;
    PlanCost cost;
    Score score;
    Bytes memory;  // of its largest stage
  };

  // Those in reach of a plan; of a budget that it need not fit.
  void add_neighbors(const Plan&, Bytes budget);
  void add(Plan, const PlanCost&);
  std::optional<Plan> best(Bytes budget) const;
  // nullptr where none fits in so much.
  const Known* fastest(Bytes budget) const;
  // The smallest of those that are faster; nullptr where none is.
  const Known* smallest_faster(const Score&) const;

 private:
  void prune();

  const Problem& problem_;
  const CostOracle& oracle_;
  std::vector<Known> plans_;  // the fastest first
};

FrontPoint point_of_front(Bytes asked, Answer);
Answer solve_at(Problem, const Solver&, Bytes budget, std::optional<Plan> start);

}  // namespace trellis
