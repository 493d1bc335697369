#include "front.h"

#include <algorithm>

namespace trellis::exact_search {

Front::Front(const std::vector<Dominance::Numbers>& all) {
  for (std::size_t n = 0; n < Dominance::kNumbers && shares_.size() < kWords * kInWord; ++n) {
    std::int64_t least = all.front()[n], most = least;
    for (const Dominance::Numbers& numbers : all) least = std::min(least, numbers[n]), most = std::max(most, numbers[n]);
    if (least < most) shares_.push_back({n, least, 127 / (static_cast<double>(most) - static_cast<double>(least))});
  }
}

Front::Glance Front::glance(const Dominance::Numbers& numbers) const {
  Glance glance{};
  for (std::size_t s = 0; s < shares_.size(); ++s) {
    const Share& share = shares_[s];
    const double part = static_cast<double>(numbers[share.number] - share.least) * share.scale;
    glance[s / kInWord] |= std::min<std::uint64_t>(127, static_cast<std::uint64_t>(part)) << (8 * (s % kInWord));
  }
  return glance;
}

}  // namespace trellis::exact_search
