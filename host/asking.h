// Asks the exact search the questions of whatif.h, on the costs of one run.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/ordinary_search.h"
#include "trellis/plan/whatif.h"

namespace trellis::host {

// The options of the search of this name; of `exact` with a limit of so many seconds, unless it has one.
Options limited(const Planning&, const std::string& name, double seconds);

// The search of this name as a solver. `exact` ends after so many seconds for a solve, unless search.limit says
// otherwise.
Solver solver_of(const Planning&, const CostOracle&, const std::string& name, double seconds,
                 Progress = Progress::told);

// `exact` that ends at once after so many seconds for a solve, and past `until`, whatever search.limit says.
Solver solver_within(const Planning&, const CostOracle&, double seconds, Deadline until, Progress);

// Answers nothing more once a signal has come: status "not asked: stopped".
Solver until_stopped(Solver);

// What search.limit says in seconds of `exact`: `otherwise` without a limit, infinity where it is one of labels alone.
double seconds_of_limit(const Planning&, double otherwise);

// The smallest search.budget, in bytes, of which so much is left after the margin.
Bytes whole_budget(const Planning&, Bytes after_margin);

// "1 x 8 devices, 8 micro-batches; embedding zero 1; block 20 x zero 3, 12 x zero 1; head -"
std::string in_words(const Plan&, const ModelSpec&);

// What is missing where a search found no plan.
struct Infeasible {
  Bytes budget{0};                   // after the margin, of every device
  std::vector<Bytes> budgets;        // of each, where they differ
  bool is_proven = false;            // that nothing fits
  std::optional<Shortage> shortage;  // nothing where no plan fits in any memory
  std::optional<Answer> missed;      // a plan that does fit, which the search did not find
};
// `found`: the answer of the run file's search, or the best of several searches. With search.limit in seconds the
// questions take what the search left of it and a little more: a quarter of it, half a second at the least.
Infeasible infeasible(const Planning&, const CostOracle&, const Found& found);
Error to_error(const Planning&, const Infeasible&);
nlohmann::json to_json(const Planning&, const Infeasible&);

}  // namespace trellis::host
