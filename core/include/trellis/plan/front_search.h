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
  Bytes asked{0};          // of the first point BudgetRange::to, of each further one a byte less than the one before needs
  std::string status;      // as SearchLog::status, of all these budgets: "optimal, proven", "within 0.8 %, proven", "feasible"
  double lower_bound = 0;  // no plan in the budget `asked`, nor in a smaller one, is better; as SearchLog::lower_bound; 0: unknown
};

struct FoundFront {
  std::vector<FoundPoint> points;     // from the largest budget down: each slower than the one before, and smaller
  bool nothing_below_proven = false;  // that nothing fits in less than the last plan needs, or without any in the range
};

class TRELLIS_API FrontSearch {
 public:
  virtual ~FrontSearch();
  // Of a problem whose devices have one budget; its own does not matter. Unknown options are rejected (options.finish()).
  // Thread-safe. The host checks every point as it does an answer.
  virtual FoundFront solve_front(const Problem&, const CostOracle&, const BudgetRange&, const Options&, SearchLog&) const = 0;
};

}  // namespace trellis
