#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/products.h"
#include "run/kernels/folded.h"

namespace trellis::cuda {

at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor out) {
  if (!out.defined()) return bias.defined() ? at::addmm(bias, x, w.t()) : at::mm(x, w.t());
  return bias.defined() ? at::addmm_out(out, bias, x, w.t()) : at::mm_out(out, x, w.t());
}

at::Tensor input_product(const at::Tensor& dy, const at::Tensor& w, at::Tensor out) {
  return out.defined() ? at::mm_out(out, dy, w) : at::mm(dy, w);
}

void weight_product(at::Tensor dw, const at::Tensor& dy, const at::Tensor& x, bool fresh) {
  if (dy.scalar_type() == at::kBFloat16) {  // sums in f32, never rounded to bf16
    if (fresh) at::mm_out(dw, dy.t(), x, at::kFloat);
    else dw.add_(at::mm(dy.t(), x, at::kFloat));
  } else if (fresh) {
    at::mm_out(dw, dy.t(), x);
  } else {
    dw.addmm_(dy.t(), x);
  }
}

namespace {

at::Tensor flat(const at::Tensor& t, std::int64_t rows, std::int64_t columns) {
  return t.defined() ? t.view({rows, columns}) : t;
}

struct Linear final : OpKernel {
  void forward(KernelContext& c) const override {
    const Folded f(c);
    const at::Tensor bias = c.fused_bias.defined() ? c.fused_bias.view({f.n}) : c.fused_bias;
    const at::Tensor y = product(input(c, 0).view({f.m, f.k}), f.matrix(c), bias, flat(c.output, f.m, f.n));
    if (!c.output.defined()) c.output = y.view(f.out_shape());
  }
  void input_gradient(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const Folded f(c);
    c.input_gradients.resize(std::max<std::size_t>(c.input_gradients.size(), 1));
    at::Tensor& dx = c.input_gradients[0];
    const at::Tensor result = input_product(output_gradient(c).view({f.m, f.n}), f.matrix(c), flat(dx, f.m, f.k));
    if (!dx.defined()) dx = result.view(f.in_shape());
  }
  void weight_gradient(KernelContext& c) const override {
    const at::Tensor dw = parameter_gradient(c, 0);
    if (!dw.defined()) return;
    const Folded f(c);
    weight_product(dw.view({f.n, f.k}), output_gradient(c).view({f.m, f.n}), input(c, 0).view({f.m, f.k}),
                   is_fresh(c, 0));
  }
  bool overwrites_gradients() const override { return true; }
};

}  // namespace

std::shared_ptr<const OpKernel> make_linear() { return std::make_shared<Linear>(); }

}  // namespace trellis::cuda
