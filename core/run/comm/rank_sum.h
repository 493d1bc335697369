// The sum of the ranks' contributions, added in rank order, so that a result does not depend on timing or transport.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace trellis {

// out[i] = parts[0][i] + parts[1][i] + ...; all contiguous, of one type and size. bf16 is added in fp32 and rounded
// once. `out` may be one of the parts. f32, f64, bf16, i64; another type throws Error (failure).
void sum_in_rank_order(const at::Tensor& out, const std::vector<at::Tensor>& parts);

}  // namespace trellis
