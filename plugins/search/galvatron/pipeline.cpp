#include "pipeline.h"

#include <algorithm>
#include <numeric>

namespace trellis::galvatron {

double pipeline_time(const std::vector<double>& computed, const std::vector<double>& reduced, double micro_batches) {
  const double stages = static_cast<double>(computed.size());
  const double all = std::accumulate(computed.begin(), computed.end(), 0.0);
  const double behind_first = std::accumulate(computed.begin() + 1, computed.end(), 0.0);
  const double first = computed.front();
  const double by_last = all + computed.back() * (micro_batches - 1);
  // Warm-up and cool-down: a third of a micro-batch is forward.
  const double filling = std::min(stages - 1, micro_batches - 1) * first;
  const double by_first = std::max(filling * 1 / 3, behind_first * 1 / 3) +
                          std::max(filling * 2 / 3, behind_first * 2 / 3) +
                          first * std::max(0.0, micro_batches + 1 - stages);
  double exposed = 0, before = 0;
  for (std::size_t i = 0; i < computed.size(); ++i) {
    before += computed[i];
    exposed = std::max(exposed, reduced[i] - before);
  }
  return std::max(by_last, by_first) + exposed;
}

}  // namespace trellis::galvatron
