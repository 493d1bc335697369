#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/norm.h"

namespace trellis {
namespace {

// extras: rstd [b s]
struct RmsNorm final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    c.extras.resize(1);
    prepare(c.extras[0], x.sizes().slice(0, x.sizes().size() - 1), stats_type(c));
    prepare(c.output, x.sizes(), x.scalar_type());
    norm_forward({real_of(x), x.const_data_ptr(), weight.const_data_ptr(), nullptr, pointer(c.output), nullptr,
                  pointer(c.extras[0]), x.numel() / weight.numel(), weight.numel(), c.op->real("eps", 1e-6)});
  }

  void backward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    norm_backward({real_of(x), output_gradient(c).const_data_ptr(), x.const_data_ptr(), weight.const_data_ptr(),
                   nullptr, c.extras.at(0).const_data_ptr(), wants(c, 0) ? pointer(gradient_slot(c, 0, x)) : nullptr,
                   pointer(parameter_gradient(c, 0)), nullptr, x.numel() / weight.numel(), weight.numel()});
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_rms_norm() { return std::make_shared<RmsNorm>(); }

}  // namespace trellis
