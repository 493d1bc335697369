// The three products of a linear op, on cuBLAS. Matrices are 2-D and contiguous; x [M, K], w [N, K], y [M, N].
#pragma once

#include <ATen/core/Tensor.h>

namespace trellis::cuda {

// x w^T (+ bias [N], unless undefined), into `out` or, where that is undefined, a new tensor. Returns the result.
at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor out);
// dy w, likewise.
at::Tensor input_product(const at::Tensor& dy, const at::Tensor& w, at::Tensor out);
// dw += dy^T x, or dw = dy^T x where nothing was added yet; dw is f32 for f32 and bf16, f64 for f64.
void weight_product(at::Tensor dw, const at::Tensor& dy, const at::Tensor& x, bool fresh);

}  // namespace trellis::cuda
