#include "data/samples/blend.h"

#include <algorithm>
#include <numeric>

#include "trellis/plan/error.h"

namespace trellis::data {
namespace {

constexpr std::int64_t kEvery = 4096;

}  // namespace

Blend::Blend(std::vector<double> weights, std::vector<std::int64_t> limits)
    : weights_(std::move(weights)),
      limits_(std::move(limits)),
      kept_(1, Counts(weights_.size())),
      counts_(weights_.size()) {
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  for (double& weight : weights_) weight /= sum;
}

int Blend::next(std::int64_t sample, const Counts& counts) const {
  const auto passed = static_cast<double>(std::max<std::int64_t>(sample, 1));
  int best = -1;
  double largest = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (!limits_.empty() && counts[i] >= limits_[i]) continue;
    const double lag = weights_[i] * passed - static_cast<double>(counts[i]);
    if (best >= 0 && lag <= largest) continue;
    best = static_cast<int>(i);
    largest = lag;
  }
  if (best < 0) fail(ExitCode::failure, "blend: sample {} is behind the last one", sample);
  return best;
}

Blended Blend::operator()(std::int64_t sample) const {
  if (weights_.size() == 1) return {0, sample};
  const std::lock_guard lock(mutex_);
  const std::int64_t known = std::min(sample / kEvery, static_cast<std::int64_t>(kept_.size()) - 1);
  if (sample < at_ || known * kEvery > at_) {
    at_ = known * kEvery;
    counts_ = kept_[static_cast<std::size_t>(known)];
  }
  for (;; ++at_) {
    if (at_ % kEvery == 0 && at_ / kEvery == static_cast<std::int64_t>(kept_.size())) kept_.push_back(counts_);
    const int source = next(at_, counts_);
    std::int64_t& count = counts_[static_cast<std::size_t>(source)];
    if (at_ == sample) return {source, count};
    ++count;
  }
}

}  // namespace trellis::data
