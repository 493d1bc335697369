// Labels with one future that no earlier one stands for, and the question whether one of them stands for another.
//
// Nearly all comparisons say no, and most of them at a glance: each number is also kept in 7 bits, as its share of the
// group's range, eight of them in a word. Where a share is greater, so is the number.
#pragma once

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
  void push(const Dominance::Numbers& numbers) { numbers_.push_back(numbers), glances_.push_back(glance(numbers)); }

  // Whether some member that is nowhere worse than the numbers also says yes; it is asked by its number in the order of
  // push().
  template <class Yes>
  bool any_no_worse(const Dominance::Numbers& numbers, Yes&& yes) const {
    // The highest bit of each byte, set here, is left where the member's share is not greater.
    constexpr std::uint64_t high = 0x8080808080808080;
    const Glance mine = glance(numbers);
    const std::uint64_t first = mine[0] | high, second = mine[1] | high;
    const Glance* const members = glances_.data();
    for (std::size_t k = 0, count = glances_.size(); k < count; ++k) {
      if (((first - members[k][0]) & (second - members[k][1]) & high) != high) continue;
      if (Dominance::no_worse(numbers_[k], numbers) && yes(k)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kWords = 2, kInWord = 8;
  using Glance = std::array<std::uint64_t, kWords>;
  struct Share {
    std::size_t number = 0;
    std::int64_t least = 0;
    double scale = 0;
  };
  Glance glance(const Dominance::Numbers&) const;

  std::vector<Share> shares_;  // of the numbers that differ within the group
  std::vector<Dominance::Numbers> numbers_;
  std::vector<Glance> glances_;
};

}  // namespace trellis::exact_search
