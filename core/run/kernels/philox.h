// Philox words for runs of consecutive elements, and the dropout masks made of them.
//
// Element i of a sample takes word i % 4 of the call with counter (high = sample, low = i / 4). Words depend on these
// coordinates alone, so a mask is the same however the tensor is split, and can be made again.
#pragma once

#include <cstdint>

namespace trellis {

void philox_words(std::uint64_t key, std::uint64_t high, std::uint64_t first, std::int64_t n, std::uint32_t* words);

// Dropout's rule: keep an element if its word is at least `threshold`, and multiply it by `scale`.
struct DropoutRule {
  explicit DropoutRule(double p);  // 0 <= p <= 1, else Error
  std::uint32_t threshold;
  double scale;  // 1 / (1 - p); 0 where p is 1
};

}  // namespace trellis
