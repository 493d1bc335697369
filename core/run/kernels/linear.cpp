#include <algorithm>

#include "run/kernels/folded.h"
#include "run/kernels/kernels.h"
#include "run/kernels/matmul.h"
#include "run/kernels/support.h"

namespace trellis {
namespace {

at::Tensor flat(const at::Tensor& t, std::int64_t rows, std::int64_t columns) {
  return t.defined() ? t.view({rows, columns}) : t;
}

struct Linear final : OpKernel {
  explicit Linear(std::shared_ptr<Products> p) : products(std::move(p)) {}

  void forward(KernelContext& c) const override {
    const Folded f(c);
    const at::Tensor bias = c.fused_bias.defined() ? c.fused_bias.view({f.n}) : c.fused_bias;
    const at::Tensor y = products->forward(input(c, 0).view({f.m, f.k}), f.matrix(c), bias, flat(c.output, f.m, f.n));
    if (!c.output.defined()) c.output = y.view(f.out_shape());
  }

  void input_gradient(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const Folded f(c);
    c.input_gradients.resize(std::max<std::size_t>(c.input_gradients.size(), 1));
    at::Tensor& dx = c.input_gradients[0];
    const at::Tensor result =
        products->input_gradient(output_gradient(c).view({f.m, f.n}), f.matrix(c), flat(dx, f.m, f.k));
    if (!dx.defined()) dx = result.view(f.in_shape());
  }

  void weight_gradient(KernelContext& c) const override {
    const at::Tensor dw = parameter_gradient(c, 0);
    if (!dw.defined()) return;
    const Folded f(c);
    products->weight_gradient(dw.view({f.n, f.k}), output_gradient(c).view({f.m, f.n}), input(c, 0).view({f.m, f.k}),
                              is_fresh(c, 0));
  }
  bool overwrites_gradients() const override { return true; }

  std::shared_ptr<Products> products;
};

}  // namespace

std::shared_ptr<const OpKernel> make_linear(std::shared_ptr<Products> p) {
  return std::make_shared<Linear>(std::move(p));
}

}  // namespace trellis
