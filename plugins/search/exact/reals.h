// Times and sizes as real numbers: bounds are weighted sums of them.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <string>

#include "trellis/plan/units.h"

namespace trellis::exact_search {

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();
// Bounds are sums of a few thousand rounded terms.
inline constexpr double kRounding = 1e-9;

inline double real(Picoseconds t) { return static_cast<double>(t.value); }
// "within 0.29 %, proven", "within 120 %, proven"
inline std::string within(double gap) {
  return gap < 1 ? fmt::format("within {:.2g} %, proven", 100 * gap) : fmt::format("within {:.0f} %, proven", 100 * gap);
}

inline double real(Bytes b) { return static_cast<double>(b.value); }

}  // namespace trellis::exact_search
