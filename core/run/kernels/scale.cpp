#include <ATen/ops/mul.h>
#include <ATen/ops/scalar_tensor.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

struct Scale final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::mul_out(prepare(c.output, x.sizes(), x.scalar_type()), x, factor(c));
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    at::mul_out(gradient_slot(c, 0, dy), dy, factor(c));
  }

 private:
  static at::Tensor factor(const KernelContext& c) { return at::scalar_tensor(c.op->real("factor", 1), at::kDouble); }
};

}  // namespace

std::shared_ptr<const OpKernel> make_scale() { return std::make_shared<Scale>(); }

}  // namespace trellis
