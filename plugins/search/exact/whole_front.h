// The front of step time against memory, from one search over all budgets of a range: plans are a staircase, what is
// proven of a choice is a curve, and wherever the two are furthest apart the work goes on.
#pragma once

#include <functional>

#include "trellis/plan/front_search.h"

namespace trellis::exact_search {

struct FrontLimit {
  std::int64_t labels = 0;
  std::function<bool()> out_of_time;  // ends with what is known
};

// Until every point is proven, or to the limit. However many threads there are, the answer is the same.
FoundFront whole_front(const Problem&, const CostOracle&, const BudgetRange&, const FrontLimit&, SearchLog&);

}  // namespace trellis::exact_search
