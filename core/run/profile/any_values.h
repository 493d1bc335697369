// What a kernel is timed with where it reads a batch field: entries that it could meet.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trellis/plan/op.h"
#include "trellis/plan/program.h"

namespace trellis::profile {

// Of `field` as input `input` of an op; `rows` > 0: of the table, only so many are here.
at::Tensor any_values(const StageProgram&, SlotId field, const LayerSpec&, const Op&, std::size_t input, const OpLibrary&,
                      const at::TensorOptions& device, std::int64_t rows = 0);

}  // namespace trellis::profile
