#include <ATen/ops/tanh.h>
#include <ATen/ops/tanh_backward.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

struct Tanh final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::tanh_out(prepare(c.output, x.sizes(), x.scalar_type()), x);
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    at::tanh_backward_out(gradient_slot(c, 0, c.output), output_gradient(c), c.output);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_tanh() { return std::make_shared<Tanh>(); }

}  // namespace trellis
