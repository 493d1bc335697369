#include "run/data/split.h"

#include <algorithm>

#include "run/data/permutation.h"
#include "trellis/run/kernel.h"

namespace trellis::data {

constexpr std::uint64_t kHeldOut = 0x68656c64;  // stream of random numbers

Split Split::draw(std::int64_t size, double held_out_share, std::uint64_t seed, std::uint64_t part) {
  const auto held_out = static_cast<std::int64_t>(static_cast<double>(size) * held_out_share);
  const Permutation order(static_cast<std::uint64_t>(size), part == 0 ? mix({seed, kHeldOut}) : mix({seed, kHeldOut, part}));
  Split split;
  for (std::int64_t i = 0; i < size; ++i)
    (i < held_out ? split.held_out : split.training).push_back(static_cast<std::int64_t>(order(static_cast<std::uint64_t>(i))));
  std::ranges::sort(split.training);
  return split;
}

}  // namespace trellis::data
