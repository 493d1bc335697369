#include <algorithm>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"
#include "run/kernels/philox.h"

namespace trellis::cuda {
namespace {

// An index within the sample is position times features plus feature, over global sizes; the first dim is the batch.
void apply_mask(const KernelContext& c, const at::Tensor& y, const at::Tensor& x) {
  const DropoutRule rule(c.op->real("p"));
  const auto& dims = output_dims(c);
  if (dims.size() > MaskLoop::kMostDims)
    fail(ExitCode::unsupported, "op '{}': dropout takes at most {} dims", c.op->name, MaskLoop::kMostDims);
  const at::Tensor samples = c.samples.to(x.device());
  MaskLoop loop = {element_of(x),
                   y.mutable_data_ptr(),
                   x.const_data_ptr(),
                   data<std::int64_t>(samples),
                   random_key(c),
                   0,
                   static_cast<int>(dims.size()),
                   {},
                   {},
                   rule.threshold,
                   rule.scale};
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    const auto d = static_cast<std::size_t>(dims[i]);
    loop.size[i] = c.size(dims[i]);
    if (i == 0) break;
    const std::int64_t start = d < c.offset.size() ? c.offset[d] : 0;
    loop.first += static_cast<std::uint64_t>(start * stride);
    loop.stride[i] = stride;
    stride *= std::max(loop.size[i], c.layer->dims[d].size);
  }
  run(place_of(x), loop);
}

struct Dropout final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::Tensor& y = prepare_like(c.output, x);
    if (c.training) apply_mask(c, y, x);
    else y.copy_(x);
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    apply_mask(c, gradient_slot(c, 0, dy), dy);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_dropout() { return std::make_shared<Dropout>(); }

}  // namespace trellis::cuda
