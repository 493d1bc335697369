#include "run/kernels/kernels.h"
#include "run/kernels/support.h"

namespace trellis {
namespace {

// A bias [O..] is added to each row of b s O...
struct Bias final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    add_rows(prepare(c.output, x.sizes(), x.scalar_type()), x, c.parameters[0]);
  }
  void input_gradient(KernelContext& c) const override {
    if (wants(c, 0)) c.input_gradients.assign(1, output_gradient(c));
  }
  void weight_gradient(KernelContext& c) const override {
    if (const at::Tensor gradient = parameter_gradient(c, 0); gradient.defined())
      accumulate_rows(gradient, output_gradient(c));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_bias() { return std::make_shared<Bias>(); }

}  // namespace trellis
