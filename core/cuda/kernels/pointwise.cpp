// The ops that are an ATen op or two a pass: add, multiply, bias, gelu, silu, relu, tanh, scale, pick.
#include <ATen/ops/add.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/threshold_backward.h>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"
#include "run/kernels/positions.h"

namespace trellis::cuda {
namespace {

struct Add final : OpKernel {
  void forward(KernelContext& c) const override {
    at::add_out(prepare_like(c.output, input(c, 0)), input(c, 0), input(c, 1));
  }
  void input_gradient(KernelContext& c) const override { c.input_gradients.assign(2, output_gradient(c)); }
  void weight_gradient(KernelContext&) const override {}  // there are no parameters
};

struct Multiply final : OpKernel {
  void forward(KernelContext& c) const override {
    at::mul_out(prepare_like(c.output, input(c, 0)), input(c, 0), input(c, 1));
  }
  void backward(KernelContext& c) const override {
    const at::Tensor& dy = output_gradient(c);
    if (wants(c, 0)) at::mul_out(gradient_slot(c, 0, dy), dy, input(c, 1));
    if (wants(c, 1)) at::mul_out(gradient_slot(c, 1, dy), dy, input(c, 0));
  }
};

// A bias [O..] is added to each row of b s O...
struct Bias final : OpKernel {
  void forward(KernelContext& c) const override {
    at::add_out(prepare_like(c.output, input(c, 0)), input(c, 0), c.parameters[0]);
  }
  void input_gradient(KernelContext& c) const override {
    if (wants(c, 0)) c.input_gradients.assign(1, output_gradient(c));
  }
  void weight_gradient(KernelContext& c) const override {
    const at::Tensor gradient = parameter_gradient(c, 0);
    if (!gradient.defined()) return;
    const at::Tensor rows = output_gradient(c).view({-1, gradient.numel()});
    gradient.view({-1}).add_(at::sum(rows, {0}, false, gradient.scalar_type()));
  }
};

struct Gelu final : OpKernel {
  static c10::string_view form(const KernelContext& c) { return c.op->integer("tanh") ? "tanh" : "none"; }
  void forward(KernelContext& c) const override {
    at::gelu_out(prepare_like(c.output, input(c, 0)), input(c, 0), form(c));
  }
  void backward(KernelContext& c) const override {
    if (wants(c, 0)) at::gelu_backward_out(gradient_slot(c, 0, input(c, 0)), output_gradient(c), input(c, 0), form(c));
  }
};

struct Silu final : OpKernel {
  void forward(KernelContext& c) const override { at::silu_out(prepare_like(c.output, input(c, 0)), input(c, 0)); }
  void backward(KernelContext& c) const override {
    if (wants(c, 0)) at::silu_backward_out(gradient_slot(c, 0, input(c, 0)), output_gradient(c), input(c, 0));
  }
};

// Of relu and tanh backward looks at the output.
struct Relu final : OpKernel {
  void forward(KernelContext& c) const override {
    at::clamp_min_out(prepare_like(c.output, input(c, 0)), input(c, 0), 0);
  }
  void backward(KernelContext& c) const override {
    if (wants(c, 0)) at::threshold_backward_out(gradient_slot(c, 0, c.output), output_gradient(c), c.output, 0);
  }
};

struct Tanh final : OpKernel {
  void forward(KernelContext& c) const override { at::tanh_out(prepare_like(c.output, input(c, 0)), input(c, 0)); }
  void backward(KernelContext& c) const override {
    if (wants(c, 0)) at::tanh_backward_out(gradient_slot(c, 0, c.output), output_gradient(c), c.output);
  }
};

struct Scale final : OpKernel {
  void forward(KernelContext& c) const override {
    prepare_like(c.output, input(c, 0)).copy_(input(c, 0)).mul_(c.op->real("factor", 1));
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    gradient_slot(c, 0, output_gradient(c)).copy_(output_gradient(c)).mul_(c.op->real("factor", 1));
  }
};

// The token at a position, zero where it is elsewhere; see run/kernels/pick.cpp.
struct Pick final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    Shape shape = x.sizes().vec();
    shape.erase(shape.begin() + 1);
    at::Tensor& y = prepare(c.output, shape, x.options());
    const std::int64_t row = local_row(c, x.size(1));
    if (row < 0) y.zero_();
    else y.copy_(x.select(1, row));
  }
  void backward(KernelContext& c) const override {
    if (!wants(c, 0)) return;
    const at::Tensor& dy = output_gradient(c);
    Shape shape = dy.sizes().vec();
    shape.insert(shape.begin() + 1, c.size(c.op->input_dims[0][1]));
    if (c.input_gradients.empty()) c.input_gradients.resize(1);
    at::Tensor& dx = prepare(c.input_gradients[0], shape, dy.options()).zero_();
    if (const std::int64_t row = local_row(c, dx.size(1)); row >= 0) dx.select(1, row).copy_(dy);
  }
};

// A bias at some positions; see run/kernels/bias_at.cpp.
struct BiasAt final : OpKernel {
  void forward(KernelContext& c) const override {
    const at::Tensor& x = input(c, 0);
    at::Tensor& y = prepare_like(c.output, x).copy_(x);
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
      gradient.add_(at::sum(dy.narrow(1, first, count), at::IntArrayRef{0, 1}, false, gradient.scalar_type()));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_add() { return std::make_shared<Add>(); }
std::shared_ptr<const OpKernel> make_multiply() { return std::make_shared<Multiply>(); }
std::shared_ptr<const OpKernel> make_bias() { return std::make_shared<Bias>(); }
std::shared_ptr<const OpKernel> make_gelu() { return std::make_shared<Gelu>(); }
std::shared_ptr<const OpKernel> make_silu() { return std::make_shared<Silu>(); }
std::shared_ptr<const OpKernel> make_relu() { return std::make_shared<Relu>(); }
std::shared_ptr<const OpKernel> make_tanh() { return std::make_shared<Tanh>(); }
std::shared_ptr<const OpKernel> make_scale() { return std::make_shared<Scale>(); }
std::shared_ptr<const OpKernel> make_pick() { return std::make_shared<Pick>(); }
std::shared_ptr<const OpKernel> make_bias_at() { return std::make_shared<BiasAt>(); }

}  // namespace trellis::cuda
