// The ops that are one ATen op a pass: add, multiply, bias, gelu, silu.
#include <ATen/ops/add.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/sum.h>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"

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

}  // namespace

std::shared_ptr<const OpKernel> make_add() { return std::make_shared<Add>(); }
std::shared_ptr<const OpKernel> make_multiply() { return std::make_shared<Multiply>(); }
std::shared_ptr<const OpKernel> make_bias() { return std::make_shared<Bias>(); }
std::shared_ptr<const OpKernel> make_gelu() { return std::make_shared<Gelu>(); }
std::shared_ptr<const OpKernel> make_silu() { return std::make_shared<Silu>(); }

}  // namespace trellis::cuda
