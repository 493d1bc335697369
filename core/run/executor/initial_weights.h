// Initial weights with coordinates: an element depends on the seed, the parameter's full name and its global index, so
// every plan starts from the same numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "trellis/plan/model.h"

namespace trellis {

// Fills `local` (double, CPU, contiguous) with the values of the box of a parameter of this global shape.
void fill_initial(const Parameter&, const std::string& full_name, std::uint64_t seed, const Shape& global, const Box&, at::Tensor local);

}  // namespace trellis
