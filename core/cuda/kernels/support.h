// What the kernels for CUDA need beside run/kernels/support.h: tensors where their inputs are, and our own loops.
//
// Kernels are made of ATen ops that exist on every device, and of loops that do (elements.h): on the processor they
// compute the same, which is how they are tested where there is no GPU.
#pragma once

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAStream.h>

#include "cuda/kernels/elements.h"
#include "run/kernels/support.h"
#include "trellis/plan/error.h"

namespace trellis::cuda {

// `slot`, allocated where it is undefined; an Error where it is defined otherwise (see trellis::prepare).
inline at::Tensor& prepare(at::Tensor& slot, at::IntArrayRef shape, const at::TensorOptions& options) {
  if (!slot.defined()) return slot = at::empty(shape, options);
  return trellis::prepare(slot, shape, c10::typeMetaToScalarType(options.dtype()));
}
inline at::Tensor& prepare_like(at::Tensor& slot, const at::Tensor& like) {
  return prepare(slot, like.sizes(), like.options());
}
inline at::Tensor& gradient_slot(KernelContext& c, std::size_t index, const at::Tensor& like) {
  if (c.input_gradients.size() <= index) c.input_gradients.resize(index + 1);
  return prepare_like(c.input_gradients[index], like);
}

// Gives `slot` the value: the tensor itself where it can, else a copy.
inline void give(at::Tensor& slot, at::Tensor value, at::IntArrayRef shape, at::ScalarType type) {
  if (slot.defined()) trellis::prepare(slot, shape, type).copy_(value.reshape(shape));
  else slot = value.reshape(shape).to(type).contiguous();
}

// The type that elements are computed in: f32 for bf16.
inline at::ScalarType compute_type(const KernelContext& c) { return stats_type(c); }

inline Place place_of(const at::Tensor& t) {
  if (!t.is_cuda()) return {false, nullptr};
  return {true, c10::cuda::getCurrentCUDAStream(t.get_device()).stream()};
}

inline Element element_of(const at::Tensor& t) {
  switch (t.scalar_type()) {
    case at::kFloat:
      return Element::f32;
    case at::kDouble:
      return Element::f64;
    case at::kBFloat16:
      return Element::bf16;
    default:
      fail(ExitCode::failure, "a kernel was given a tensor of {}; expected float, double or bfloat16",
           c10::toString(t.scalar_type()));
  }
}

}  // namespace trellis::cuda
