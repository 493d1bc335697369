// What both searches find: the reference's own and the exact one on its costs.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cost.h"

namespace trellis::galvatron {

struct Solution {
  Task task;
  Layout vocabulary;
  std::vector<Layout> layers;
  std::vector<int> division;  // layers of each stage
  double step = 0;            // seconds
  std::vector<double> used;   // MB by stage, with what is held back
  std::vector<double> left;   // MB by stage

  double throughput() const { return static_cast<double>(task.batch) / step; }
};

// The step time of a solution by the reference's formula.
double step_time(const CostModel&, const Solution&);

struct SearchOutcome {
  std::optional<Solution> best;
  std::map<std::string, std::int64_t> explored;
  double seconds = 0;
  // Of the exact search: no solution takes less of a second per sample. Nothing where the space was not searched so.
  std::optional<double> bound;
  bool proven = false;
  bool stopped = false;  // before its end
};
using Stopped = std::function<bool()>;  // whether to end now

// The reference's own search: its loops, its rounding, its dynamic programming.
SearchOutcome search_as_reference(const CostModel&, const Stopped& = [] { return false; });
// The best by the reference's formula in the same space, memory in fractions of MB.
SearchOutcome search_exactly(const CostModel&, const Stopped& = [] { return false; });

// Runs work(0) ... work(count - 1), each once, on so many threads (0: those of the machine). The first Error is thrown
// on.
void in_parallel(int threads, std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace trellis::galvatron
