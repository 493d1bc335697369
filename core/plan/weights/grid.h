// Positions of a square grid, resampled for images of another size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "plan/weights/safetensors.h"
#include "trellis/plan/layout.h"

namespace trellis {

struct ResampledGrid {
  std::int64_t from = 0, to = 0;  // positions of a side
  std::vector<std::byte> bytes;   // in float64
};

// `tensor` is [.. rows, columns], of which the first `before` rows stay as they are. Bicubic with the coefficient -0.75,
// corners not aligned, the border repeated: as PyTorch interpolates. nullopt where the shapes are no such grids, or
// the elements no numbers that a parameter may have.
std::optional<ResampledGrid> resample(const TensorView& tensor, const Shape& wanted, std::int64_t before);

}  // namespace trellis
