#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/norm.h"

namespace trellis {
namespace {

// extras: mean, rstd [b s]
struct LayerNorm final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    const at::Tensor bias = c.parameters.size() > 1 ? c.parameters[1] : at::Tensor();
    const auto rows = x.sizes().slice(0, x.sizes().size() - 1);
    c.extras.resize(2);
    for (at::Tensor& extra : c.extras) prepare(extra, rows, stats_type(c));
    prepare(c.output, x.sizes(), x.scalar_type());
    norm_forward({real_of(x), x.const_data_ptr(), weight.const_data_ptr(),
                  bias.defined() ? bias.const_data_ptr() : nullptr, pointer(c.output), pointer(c.extras[0]),
                  pointer(c.extras[1]), x.numel() / weight.numel(), weight.numel(), c.op->real("eps", 1e-5)});
  }

  void backward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    norm_backward({real_of(x), output_gradient(c).const_data_ptr(), x.const_data_ptr(), weight.const_data_ptr(),
                   c.extras.at(0).const_data_ptr(), c.extras.at(1).const_data_ptr(),
                   wants(c, 0) ? pointer(gradient_slot(c, 0, x)) : nullptr, pointer(parameter_gradient(c, 0)),
                   pointer(parameter_gradient(c, 1)), x.numel() / weight.numel(), weight.numel()});
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_layer_norm() { return std::make_shared<LayerNorm>(); }

}  // namespace trellis
