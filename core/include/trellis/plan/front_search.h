// A search that answers for a whole range of budgets at once: the front of step time against memory, from one solve.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/search.h"

namespace trellis {

// Id of the extension, a FrontSearch (SearchAlgorithm::extension).
inline constexpr std::string_view kFrontSearch = "trellis.front_search/1";

// Budgets of every device, margin already taken off, both included.
struct BudgetRange {
  Bytes from{0}, to{0};
};

// The best plan known of the budgets from what it needs to `asked`.
struct FoundPoint {
  Plan plan;
  Bytes asked{0};
  std::string status;      // of the budgets that it is the answer to: "optimal, proven"
  double lower_bound = 0;  // no plan in the budget `asked`, nor in a smaller one, is better; as SearchLog::lower_bound
};

struct FoundFront {
  std::vector<FoundPoint> points;     // from the largest budget down: each slower than the one before, and smaller
  bool nothing_below_proven = false;  // that nothing fits in less than the last plan needs, or without any in the range
};

class TRELLIS_API FrontSearch {
 public:
  virtual ~FrontSearch();
  // Of a problem whose devices have one budget; its own does not matter. Unknown options are rejected. Thread-safe.
  virtual FoundFront solve_front(const Problem&, const CostOracle&, const BudgetRange&, const Options&, SearchLog&) const = 0;
};

}  // namespace trellis
