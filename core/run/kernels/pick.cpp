#include <ATen/ATen.h>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/positions.h"

namespace trellis {
namespace {

// b s X.. -> b X..: the token at a position, zero where this rank does not hold it.
struct Pick final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    Shape shape = x.sizes().vec();
    shape.erase(shape.begin() + 1);
    at::Tensor& y = prepare(c.output, shape, x.scalar_type());
    const std::int64_t row = local_row(c, x.size(1));
    if (row < 0) y.zero_();
    else y.copy_(x.select(1, row));
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    const std::int64_t positions = c.size(c.op->input_dims[0][1]);
    Shape shape = dy.sizes().vec();
    shape.insert(shape.begin() + 1, positions);
    if (c.input_gradients.empty()) c.input_gradients.resize(1);
    at::Tensor& dx = prepare(c.input_gradients[0], shape, dy.scalar_type());
    dx.zero_();
    if (const std::int64_t row = local_row(c, positions); row >= 0) dx.select(1, row).copy_(dy);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_pick() { return std::make_shared<Pick>(); }

}  // namespace trellis
