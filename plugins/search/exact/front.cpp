#include "front.h"

#include <algorithm>

namespace trellis::exact_search {

Front::Front(const std::vector<Dominance::Numbers>& all) {
  for (std::size_t n = 0; n < Dominance::kNumbers; ++n) {
    std::int64_t least = all.front()[n], most = least;
    for (const Dominance::Numbers& numbers : all) least = std::min(least, numbers[n]), most = std::max(most, numbers[n]);
    if (least < most) scales_.push_back({n, least, kMost / (static_cast<double>(most) - static_cast<double>(least))});
  }
}

void Front::push(const Dominance::Numbers& numbers) {
  const std::size_t at = numbers_.size() % kTogether;
  if (at == 0)
    for (Members& members : blocks_.emplace_back()) members.fill(Lane{} + kNobody);
  const Shares mine = shares(numbers);
  for (std::size_t s = 0; s < scales_.size(); ++s) blocks_.back()[s][at / kLane][at % kLane] = mine[s];
  numbers_.push_back(numbers);
}

Front::Shares Front::shares(const Dominance::Numbers& numbers) const {
  Shares shares{};
  for (std::size_t s = 0; s < scales_.size(); ++s) {
    const double part = static_cast<double>(numbers[scales_[s].number] - scales_[s].least) * scales_[s].scale;
    shares[s] = static_cast<std::uint8_t>(std::min<double>(kMost, part));
  }
  return shares;
}

// A look whether anybody is left costs as much as a number.
Front::Members Front::glance(const Query& mine, const Block& theirs) const {
  const std::size_t count = scales_.size();
  Lane a = Lane{} + kYes, b = a, c = a, d = a;
  for (std::size_t s = 0; s < count;) {
    for (const std::size_t end = std::min(count, s + kOften); s < end; ++s) {
      const Members& shares = theirs[s];
      a &= Lane(shares[0] <= mine[s]), b &= Lane(shares[1] <= mine[s]);
      c &= Lane(shares[2] <= mine[s]), d &= Lane(shares[3] <= mine[s]);
    }
    if (none({a, b, c, d})) break;
  }
  return {a, b, c, d};
}

}  // namespace trellis::exact_search
