// Texts as BERT reads them: [CLS] a [SEP], or [CLS] a [SEP] b [SEP].
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace trellis::data {

struct Framed {
  std::vector<std::int64_t> ids;
  std::int64_t second = 0;  // where b begins, the end where there is none

  static Framed one(std::int64_t cls, std::span<const std::int64_t> a, std::int64_t sep);
  static Framed two(std::int64_t cls, std::span<const std::int64_t> a, std::span<const std::int64_t> b, std::int64_t sep);
};

// Positions [begin, begin + out.size()) of a field: ids, positions, segments, or mask. What is behind the text is padding:
// mask 0, and so are ids and segments.
void write_framed(const Framed& framed, std::string_view field, std::int64_t begin, std::span<std::int64_t> out);

}  // namespace trellis::data
