#include "run/data/sample_order.h"

#include <algorithm>

#include "run/data/permutation.h"
#include "trellis/run/kernel.h"

namespace trellis::data {

SampleOrder::SampleOrder(const std::vector<SourceSize>& sources, std::int64_t batch, std::uint64_t seed, Order order)
    : batch_(batch), seed_(seed), order_(order) {
  const bool in_turn = order == Order::in_turn;
  std::vector<double> weights;
  std::vector<std::int64_t> limits;
  std::int64_t end = 0;
  for (const SourceSize& source : sources) {
    ends_.push_back(end += source.samples);
    weights.push_back(in_turn ? static_cast<double>(source.samples) : source.weight);
    if (in_turn) limits.push_back(source.samples);
  }
  blend_ = std::make_unique<const Blend>(std::move(weights), std::move(limits));
}

std::int64_t SampleOrder::rows(std::int64_t step) const {
  return order_ == Order::in_turn ? std::clamp<std::int64_t>(samples() - step * batch_, 0, batch_) : batch_;
}

std::int64_t SampleOrder::operator()(std::int64_t step, std::int64_t row) const {
  if (row >= rows(step)) return -1;
  const Blended blended = (*blend_)(step * batch_ + row);
  const auto source = static_cast<std::uint64_t>(blended.source);
  const std::int64_t first = source == 0 ? 0 : ends_[source - 1], count = ends_[source] - first;
  if (order_ == Order::in_turn) return first + blended.index;
  const auto epoch = static_cast<std::uint64_t>(blended.index / count);
  const std::uint64_t key = source == 0 ? mix({seed_, epoch}) : mix({seed_, epoch, source});
  const Permutation order(static_cast<std::uint64_t>(count), key);
  return first + static_cast<std::int64_t>(order(static_cast<std::uint64_t>(blended.index % count)));
}

std::pair<std::size_t, std::int64_t> SampleOrder::place(std::int64_t sample) const {
  const auto source = static_cast<std::size_t>(std::ranges::upper_bound(ends_, sample) - ends_.begin());
  return {source, sample - (source == 0 ? 0 : ends_[source - 1])};
}

}  // namespace trellis::data
