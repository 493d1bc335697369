#include <ATen/ATen.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/positions.h"

namespace trellis {
namespace {

// A bias [h] is added to the rows b s h at positions from `first` to below `last`.
struct BiasAt final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::Tensor& y = prepare(c.output, x.sizes(), x.scalar_type());
    y.copy_(x);
    if (const auto [first, count] = local_rows(c, x.size(1)); count > 0) y.narrow(1, first, count).add_(c.parameters[0]);
  }
  void input_gradient(KernelContext& c) const override {
    if (wants(c, 0)) c.input_gradients.assign(1, output_gradient(c));
  }
  void weight_gradient(KernelContext& c) const override {
    const at::Tensor gradient = parameter_gradient(c, 0);
    if (!gradient.defined()) return;
    const at::Tensor& dy = output_gradient(c);
    if (const auto [first, count] = local_rows(c, dy.size(1)); count > 0)
      for (std::int64_t sample = 0; sample < dy.size(0); ++sample)
        accumulate_rows(gradient, dy.select(0, sample).narrow(0, first, count));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_bias_at() { return std::make_shared<BiasAt>(); }

}  // namespace trellis
