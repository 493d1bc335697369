// A kernel whose gradients LibTorch's autograd finds: the quick way to an op of one's own. Write forward as a function of
// tensors:
//
//   TRELLIS_RUN_PLUGIN("mine", "1.0.0") {
//     kernels.add("scaled_softplus", std::make_shared<const AutogradKernel>([](const AutogradKernel::Call& call) {
//       return at::softplus(call.inputs[0]).mul(call.parameters[0]);
//     }));
//   }
//
// Backward runs the function again, with a graph that lives for this call only. The op's contract must say so: needs()
// all inputs in backward, no extras, no split backward, and scratch() with what autograd keeps. An op worth its time
// gets gradients by hand later, and a contract that keeps less.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/run/kernel.h"

namespace trellis {

class TRELLIS_API AutogradKernel final : public OpKernel {
 public:
  struct Call {
    const std::vector<at::Tensor>& inputs;       // as the op's, local; integer ones take no gradient
    const std::vector<at::Tensor>& parameters;   // local
    const KernelContext& context;                // attributes of the op, sizes, coordinates, training
  };
  // Returns the op's output. Differentiable, deterministic, and thread-safe; never in place on what it is given.
  using Forward = std::function<at::Tensor(const Call&)>;

  explicit AutogradKernel(Forward forward) : forward_(std::move(forward)) {}

  void forward(KernelContext&) const override;
  void backward(KernelContext&) const override;
  void input_gradient(KernelContext&) const override;    // Error: the contract splits what this kernel does at once
  void weight_gradient(KernelContext&) const override;

 private:
  Forward forward_;
};

}  // namespace trellis
