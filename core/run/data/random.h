// Random numbers of data, by coordinates (trellis/run/kernel.h: mix).
#pragma once

#include <cstdint>

namespace trellis::data {

inline double uniform(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }  // [0, 1)

}  // namespace trellis::data
