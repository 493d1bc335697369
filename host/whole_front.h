// The front of step time against memory by a search that answers for all budgets at once.
#pragma once

#include <optional>
#include <string>

#include "host/asking.h"
#include "trellis/plan/front_search.h"

namespace trellis::host {

struct WholeFront {
  MemoryFront front;    // all points that were found
  SearchLog log;        // of the search
  double widest_gap = 0;  // of all budgets from the least that a plan needs: none has a plan faster by more than this share
};

// Nothing where the search of this name answers for one budget only. What a point claims is checked as any answer is.
std::optional<WholeFront> whole_front(const Planning&, const Problem&, const CostOracle&, const std::string& name,
                                      const Options&, const BudgetRange&);

}  // namespace trellis::host
