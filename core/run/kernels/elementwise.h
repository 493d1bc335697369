// Calls a cloned loop over all elements of contiguous tensors of one type and size.
#pragma once

#include "run/kernels/parallel.h"
#include "run/kernels/support.h"

namespace trellis {

// loop(real, out, x, begin, end): pointers to the first element of the whole tensors.
template <class Loop>
void map(Loop loop, const at::Tensor& out, const at::Tensor& x) {
  const Real real = real_of(x);
  void* to = out.mutable_data_ptr();
  const void* from = x.const_data_ptr();
  parallel_for(x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) { loop(real, to, from, begin, end); });
}

// loop(real, out, x, y, begin, end)
template <class Loop>
void map(Loop loop, const at::Tensor& out, const at::Tensor& x, const at::Tensor& y) {
  const Real real = real_of(x);
  void* to = out.mutable_data_ptr();
  const void *first = x.const_data_ptr(), *second = y.const_data_ptr();
  parallel_for(x.numel(), kGrain,
               [&](std::int64_t begin, std::int64_t end) { loop(real, to, first, second, begin, end); });
}

// The tensor for input gradient `index`, shaped as `like`.
inline at::Tensor& gradient_slot(KernelContext& c, std::size_t index, const at::Tensor& like) {
  if (c.input_gradients.size() <= index) c.input_gradients.resize(index + 1);
  return prepare(c.input_gradients[index], like.sizes(), like.scalar_type());
}

}  // namespace trellis
