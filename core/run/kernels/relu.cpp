#include <ATen/ops/clamp_min.h>
#include <ATen/ops/threshold_backward.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

// Backward looks at the output: zero where it is zero.
struct Relu final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::clamp_min_out(prepare(c.output, x.sizes(), x.scalar_type()), x, 0);
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    at::threshold_backward_out(gradient_slot(c, 0, c.output), output_gradient(c), c.output, 0);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_relu() { return std::make_shared<Relu>(); }

}  // namespace trellis
