// Samples of several sources, mixed by weight.
#pragma once

#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis::data {

struct Blended {
  int source = 0;
  std::int64_t index = 0;  // how many of this source came before
};

// The next sample is of the source that lags most behind its share, the first of several: Megatron-LM's order. After n
// samples a source has had its share of n, give or take a few. A source may have a limit, behind which it gives none.
//
// Any place of the order can be asked for, by any thread. What was passed on the way is kept every few thousand
// samples.
class TRELLIS_API Blend {
 public:
  // Weights are more than 0; only their ratios count. Limits: none, or one a source.
  explicit Blend(std::vector<double> weights, std::vector<std::int64_t> limits = {});
  Blended operator()(std::int64_t sample) const;  // below the sum of the limits

 private:
  using Counts = std::vector<std::int64_t>;
  int next(std::int64_t sample, const Counts& counts) const;

  std::vector<double> weights_;
  std::vector<std::int64_t> limits_;
  mutable std::mutex mutex_;
  mutable std::vector<Counts> kept_;  // counts before sample i x kEvery
  mutable std::int64_t at_ = 0;       // where the last question ended, and the counts there
  mutable Counts counts_;
};

}  // namespace trellis::data
