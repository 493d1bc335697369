#include "trellis/run/autograd_kernel.h"

#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

std::string op_name(const KernelContext& c) { return c.op ? c.op->name : "?"; }

void check_output(const KernelContext& c, const at::Tensor& output) {
  if (!output.defined()) fail(ExitCode::plugin, "op '{}': its forward function returned no tensor", op_name(c));
}

// Leaves of a new graph that share the memory of the originals.
std::vector<at::Tensor> leaves_of(const std::vector<at::Tensor>& tensors, const std::vector<bool>* wanted,
                                  std::vector<at::Tensor>& all) {
  std::vector<at::Tensor> leaves;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    at::Tensor leaf = tensors[i].defined() ? tensors[i].detach() : at::Tensor();
    const bool wants = leaf.defined() && leaf.is_floating_point() && (!wanted || wanted->at(i));
    if (wants) {
      leaf.set_requires_grad(true);
      all.push_back(leaf);
    }
    leaves.push_back(std::move(leaf));
  }
  return leaves;
}

[[noreturn]] void refuse_split(const KernelContext& c) {
  throw Error(ExitCode::plugin,
              fmt::format("op '{}': its contract splits backward, and its kernel, by autograd, does not", op_name(c)),
              "splits_backward() must be false");
}

}  // namespace

void AutogradKernel::forward(KernelContext& c) const {
  const c10::AutoGradMode no_graph(false);
  const at::Tensor output = forward_({c.inputs, c.parameters, c}).contiguous();
  check_output(c, output);
  if (c.output.defined()) c.output.copy_(output);
  else c.output = output;
}

void AutogradKernel::backward(KernelContext& c) const {
  std::vector<at::Tensor> wanted, gradients;
  {
    const c10::AutoGradMode with_graph(true);
    const std::vector<at::Tensor> inputs = leaves_of(c.inputs, &c.wants, wanted);
    const std::vector<at::Tensor> parameters = leaves_of(c.parameters, nullptr, wanted);
    if (wanted.empty()) return;
    const at::Tensor output = forward_({inputs, parameters, c});
    check_output(c, output);
    // What the function does not depend on gets no gradient, and counts as zero.
    gradients = torch::autograd::grad({output}, wanted, {c.output_gradient.view(output.sizes())},
                                      /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
  }
  const c10::AutoGradMode no_graph(false);
  std::size_t next = 0;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].defined() || !c.inputs[i].is_floating_point() || !c.wants.at(i)) continue;
    const at::Tensor& gradient = gradients.at(next++);
    c.input_gradients.at(i) = gradient.defined() ? gradient.contiguous() : at::zeros_like(c.inputs[i]);
  }
  for (std::size_t i = 0; i < c.parameters.size(); ++i)
    if (const at::Tensor& gradient = gradients.at(next++); gradient.defined())
      c.parameter_gradients.at(i).add_(gradient.to(c.parameter_gradients.at(i).scalar_type()));
}

void AutogradKernel::input_gradient(KernelContext& c) const { refuse_split(c); }
void AutogradKernel::weight_gradient(KernelContext& c) const { refuse_split(c); }

}  // namespace trellis
