// Which of a rank's rows are at given positions of the sequence, for ops on b s X.. .
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "trellis/run/kernel.h"

namespace trellis {

inline std::int64_t first_position(const KernelContext& c) {
  const auto d = static_cast<std::size_t>(c.op->input_dims[0][1]);
  return d < c.offset.size() ? c.offset[d] : 0;
}

// The local row of attribute `position` among so many, or -1.
inline std::int64_t local_row(const KernelContext& c, std::int64_t rows) {
  const std::int64_t row = c.op->integer("position") - first_position(c);
  return row >= 0 && row < rows ? row : -1;
}

// Local rows of positions from `first` to below `last`: the first one, and how many.
inline std::pair<std::int64_t, std::int64_t> local_rows(const KernelContext& c, std::int64_t rows) {
  const std::int64_t first = std::clamp<std::int64_t>(c.op->integer("first") - first_position(c), 0, rows);
  return {first, std::clamp<std::int64_t>(c.op->integer("last") - first_position(c), first, rows) - first};
}

}  // namespace trellis
