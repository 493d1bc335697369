// Labels with one future that no earlier one stands for, and the question whether one of them stands for another.
//
// Nearly all comparisons say no, and most of them at a glance: each number is also kept in a byte, as its share of the
// group's range. Where a share is greater, so is the number. The shares of one number lie together, so that a machine
// compares those of many members at once.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "dominance.h"

namespace trellis::exact_search {

class Front {
 public:
  // `all`: the numbers of every label of the group.
  explicit Front(const std::vector<Dominance::Numbers>& all);

  // Adds a label of the group.
  void push(const Dominance::Numbers& numbers);

  // Whether some member that is nowhere worse than the numbers also says yes; it is asked by its number in the order of
  // push().
  template <class Yes>
  bool any_no_worse(const Dominance::Numbers& numbers, Yes&& yes) const {
    Query mine;
    const Shares shares = this->shares(numbers);
    for (std::size_t s = 0; s < mine.size(); ++s) mine[s] = Lane{} + shares[s];
    for (std::size_t first = 0; first < numbers_.size(); first += kTogether) {
      const Members maybe = glance(mine, blocks_[first / kTogether]);
      if (none(maybe)) continue;
      const std::size_t count = std::min(kTogether, numbers_.size() - first);
      for (std::size_t k = 0; k < count; ++k)
        if (maybe[k / kLane][k % kLane] != 0 && Dominance::no_worse(numbers_[first + k], numbers) && yes(first + k)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kLane = 16, kTogether = 4 * kLane;  // members
  static constexpr std::uint8_t kMost = 254, kNobody = 255;        // shares
  static constexpr std::uint8_t kYes = 255;
  static constexpr std::size_t kOften = 3;
  using Lane [[gnu::vector_size(kLane)]] = std::uint8_t;
  using Members = std::array<Lane, kTogether / kLane>;  // a byte for each
  using Shares = std::array<std::uint8_t, Dominance::kNumbers>;
  using Query = std::array<Lane, Dominance::kNumbers>;  // each in all bytes
  using Block = std::array<Members, Dominance::kNumbers>;
  struct Scale {
    std::size_t number = 0;
    std::int64_t least = 0;
    double scale = 0;
  };
  Shares shares(const Dominance::Numbers&) const;
  // Of those that lie together the ones that have no greater share: their bytes are not 0.
  Members glance(const Query&, const Block&) const;
  static bool none(const Members& members) {
    using Words [[gnu::vector_size(kLane)]] = std::uint64_t;
    const Words any = Words(members[0] | members[1] | members[2] | members[3]);
    return (any[0] | any[1]) == 0;
  }

  std::vector<Scale> scales_;  // of the numbers that differ within the group
  std::vector<Dominance::Numbers> numbers_;
  std::vector<Block> blocks_;  // shares: by number, of those that differ
};

}  // namespace trellis::exact_search
