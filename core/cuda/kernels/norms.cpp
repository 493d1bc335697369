#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/_fused_rms_norm_backward.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"

namespace trellis::cuda {
namespace {

std::vector<std::int64_t> rows_of(const at::Tensor& x) { return x.sizes().slice(0, x.sizes().size() - 1).vec(); }

// Statistics as ATen has them: [b s 1].
at::Tensor with_one(const at::Tensor& stats) { return stats.unsqueeze(-1); }

// ATen gives parameter gradients in the input's type. In f32 they are summed up unrounded, as the CPU kernels do it.
at::Tensor wide(const KernelContext& c, const at::Tensor& t) { return t.defined() ? t.to(compute_type(c)) : t; }

void add_gradient(const at::Tensor& gradient, const at::Tensor& value) {
  if (gradient.defined()) gradient.add_(value.view(gradient.sizes()));
}

// extras: mean, rstd [b s]
struct LayerNorm final : OpKernel {
  static at::Tensor bias(const KernelContext& c) { return c.parameters.size() > 1 ? c.parameters[1] : at::Tensor(); }

  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    auto [y, mean, rstd] = at::native_layer_norm(x, {weight.numel()}, weight, bias(c), c.op->real("eps", 1e-5));
    c.extras.resize(2);
    give(c.output, std::move(y), x.sizes(), x.scalar_type());
    give(c.extras[0], std::move(mean), rows_of(x), stats_type(c));
    give(c.extras[1], std::move(rstd), rows_of(x), stats_type(c));
  }
  void backward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    const at::Tensor dw = parameter_gradient(c, 0), db = parameter_gradient(c, 1);
    const auto [dx, own_dw, own_db] = at::native_layer_norm_backward(
        wide(c, output_gradient(c)), wide(c, x), {weight.numel()}, with_one(c.extras.at(0)), with_one(c.extras.at(1)),
        wide(c, weight), wide(c, bias(c)), {wants(c, 0), dw.defined(), db.defined()});
    add_gradient(dw, own_dw);
    add_gradient(db, own_db);
    if (!wants(c, 0)) return;
    if (c.input_gradients.empty()) c.input_gradients.resize(1);
    give(c.input_gradients[0], dx, x.sizes(), x.scalar_type());
  }
};

// extras: rstd [b s]
struct RmsNorm final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    auto [y, rstd] = at::_fused_rms_norm(x, {weight.numel()}, weight, c.op->real("eps", 1e-6));
    c.extras.resize(1);
    give(c.output, std::move(y), x.sizes(), x.scalar_type());
    give(c.extras[0], std::move(rstd), rows_of(x), stats_type(c));
  }
  void backward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &weight = c.parameters[0];
    const at::Tensor dw = parameter_gradient(c, 0);
    const auto [dx, own_dw] =
        at::_fused_rms_norm_backward(wide(c, output_gradient(c)), wide(c, x), {weight.numel()},
                                     with_one(c.extras.at(0)), wide(c, weight), {wants(c, 0), dw.defined()});
    add_gradient(dw, own_dw);
    if (!wants(c, 0)) return;
    if (c.input_gradients.empty()) c.input_gradients.resize(1);
    give(c.input_gradients[0], dx, x.sizes(), x.scalar_type());
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_layer_norm() { return std::make_shared<LayerNorm>(); }
std::shared_ptr<const OpKernel> make_rms_norm() { return std::make_shared<RmsNorm>(); }

}  // namespace trellis::cuda
