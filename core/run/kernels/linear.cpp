#include <algorithm>

#include "run/kernels/kernels.h"
#include "run/kernels/matmul.h"
#include "run/kernels/support.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

// b s I.. -> b s O.., weight [O.. I..]: a product of two matrices once the dims are folded.
struct Folded {
  explicit Folded(const KernelContext& c) {
    const auto& weight_dims = parameter_dims(c, 0);
    for (DimId d : weight_dims) weight.push_back(c.size(d));
    const auto& in = c.op->input_dims[0];
    const auto is_free = [&](DimId d) {
      return std::find(weight_dims.begin(), weight_dims.end(), d) == weight_dims.end();
    };
    leading = static_cast<std::size_t>(std::count_if(in.begin(), in.end(), is_free));
    out_dims = weight_dims.size() - (in.size() - leading);
    if (!std::equal(in.begin() + static_cast<std::ptrdiff_t>(leading), in.end(),
                    weight_dims.begin() + static_cast<std::ptrdiff_t>(out_dims), weight_dims.end()))
      fail(ExitCode::unsupported, "op '{}': the dims that a linear contracts must be the last ones of its input",
           c.op->name);
    for (std::size_t i = 0; i < out_dims; ++i) n *= weight[i];
    for (std::size_t i = out_dims; i < weight_dims.size(); ++i) k *= weight[i];
    for (std::size_t i = 0; i < leading; ++i) lead.push_back(c.size(in[i])), m *= lead.back();
  }
  Shape out_shape() const { return with(0, out_dims); }
  Shape in_shape() const { return with(out_dims, weight.size()); }
  // The weight's gradient pass has no weight: under ZeRO-3 it is gone by then.
  at::Tensor matrix(const KernelContext& c) const { return c.parameters[0].view({n, k}); }

  Shape weight;
  std::size_t leading = 0, out_dims = 0;
  Shape lead;
  std::int64_t m = 1, n = 1, k = 1;

 private:
  Shape with(std::size_t begin, std::size_t end) const {
    Shape shape = lead;
    for (std::size_t i = begin; i < end; ++i) shape.push_back(weight[i]);
    return shape;
  }
};

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
