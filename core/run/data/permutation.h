// A seeded order of 0..n-1 without memory: the i-th element is computed, so any rank can ask for any sample.
#pragma once

#include <cstdint>

#include "trellis/plan/export.h"

namespace trellis::data {

// A Feistel network over the next even power of two, walked until it lands below n (Black and Rogaway, "Ciphers with
// arbitrary finite domains", 2002): a bijection for every n and key. Thread-safe.
class TRELLIS_API Permutation {
 public:
  Permutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t operator()(std::uint64_t index) const;  // index < size
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_, key_;
  int half_bits_;
};

}  // namespace trellis::data
