#include "run/data/permutation.h"

#include <algorithm>
#include <bit>

#include "trellis/run/kernel.h"

namespace trellis::data {
namespace {

constexpr std::uint64_t kRounds = 6;  // four make a good order, two more cost nothing here

// Bits of half an index: the smallest even number of bits holds size - 1.
int half_of(std::uint64_t size) {
  const auto bits = static_cast<int>(std::bit_width(std::max<std::uint64_t>(size, 2) - 1));
  return (bits + 1) / 2;
}

}  // namespace

Permutation::Permutation(std::uint64_t size, std::uint64_t key) : size_(size), key_(key), half_bits_(half_of(size)) {}

std::uint64_t Permutation::operator()(std::uint64_t index) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = index >> half_bits_, right = index & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t next = left ^ (mix({key_, round, right}) & mask);
      left = right;
      right = next;
    }
    index = left << half_bits_ | right;
  } while (index >= size_);  // fewer than four walks on average: the network's domain is below 4 n
  return index;
}

}  // namespace trellis::data
