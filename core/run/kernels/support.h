// What most kernels need: element types, output tensors, dims of the op's index expression.
#pragma once

#include <ATen/core/Tensor.h>

#include "run/kernels/simd.h"
#include "trellis/run/kernel.h"

namespace trellis {

at::ScalarType scalar_type(Dtype);
at::ScalarType stats_type(const KernelContext&);  // f64 in a run in f64, else f32

// Returns `slot`, allocated if it is undefined; an Error if it is defined with another shape, or is not contiguous.
at::Tensor& prepare(at::Tensor& slot, at::IntArrayRef shape, at::ScalarType type);

const at::Tensor& input(const KernelContext&, std::size_t index);  // Error where it is undefined
const at::Tensor& output_gradient(const KernelContext&);
const std::vector<DimId>& output_dims(const KernelContext&);
const std::vector<DimId>& parameter_dims(const KernelContext&, std::size_t index);

bool wants(const KernelContext&, std::size_t input);  // its gradient is asked for
// The gradient view of a parameter; undefined where no gradients are wanted (a validation pass).
at::Tensor parameter_gradient(const KernelContext&, std::size_t index);
bool is_fresh(const KernelContext&, std::size_t index);  // overwrite that view instead of adding to it

// The key of this op's random words in this step.
std::uint64_t random_key(const KernelContext&);

template <class T>
const T* data(const at::Tensor& t) {
  return static_cast<const T*>(t.const_data_ptr());
}
inline void* pointer(const at::Tensor& t) { return t.defined() ? t.mutable_data_ptr() : nullptr; }
template <class T>
T* mutable_data(const at::Tensor& t) {
  return static_cast<T*>(t.mutable_data_ptr());
}

// to[i] += from[i]; `to` is f32 or f64 (gradients), `from` of any type; both contiguous, of equal size.
void accumulate(const at::Tensor& to, const at::Tensor& from);
// to[j] += sum over rows of from[row, j]. The order of summation depends on the shape only.
void accumulate_rows(const at::Tensor& to, const at::Tensor& from);
// y[row, j] = x[row, j] + bias[j]; y may be x.
void add_rows(const at::Tensor& y, const at::Tensor& x, const at::Tensor& bias);

inline constexpr std::int64_t kGrain = 16384;  // elements below which a second thread does not pay

}  // namespace trellis
