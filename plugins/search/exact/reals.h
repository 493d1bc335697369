// Times and sizes as real numbers: bounds are weighted sums of them.
#pragma once

#include <limits>

#include "trellis/plan/units.h"

namespace trellis::exact_search {

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();
// Bounds are sums of a few thousand rounded terms.
inline constexpr double kRounding = 1e-9;

inline double real(Picoseconds t) { return static_cast<double>(t.value); }
inline double real(Bytes b) { return static_cast<double>(b.value); }

}  // namespace trellis::exact_search
