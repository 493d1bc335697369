// The generated tables, and a map over all code points made from one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "data/unicode/tables.inc"

namespace trellis::data {

// A byte for each code point, in blocks of which equal ones are kept once.
class CodePointMap {
 public:
  // `runs`: the first code point of a run x `radix` + the value of the run.
  CodePointMap(std::span<const std::uint32_t> runs, std::uint32_t radix) {
    std::vector<std::uint8_t> block(kBlock);
    std::size_t next = 0;
    std::uint8_t value = 0;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      for (std::size_t i = 0; i < kBlock; ++i) {
        if (next < runs.size() && runs[next] / radix == b * kBlock + i)
          value = static_cast<std::uint8_t>(runs[next++] % radix);
        block[i] = value;
      }
      std::size_t known = 0;
      while (known < values_.size() && !std::equal(block.begin(), block.end(), values_.begin() + offset(known)))
        known += kBlock;
      if (known == values_.size()) values_.insert(values_.end(), block.begin(), block.end());
      blocks_[b] = static_cast<std::uint16_t>(known / kBlock);
    }
  }

  std::uint8_t operator[](char32_t c) const { return values_[blocks_[c / kBlock] * kBlock + c % kBlock]; }

 private:
  static constexpr std::size_t kBlock = 256;
  static std::ptrdiff_t offset(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }

  std::array<std::uint16_t, 0x110000 / kBlock> blocks_{};
  std::vector<std::uint8_t> values_;
};

}  // namespace trellis::data
