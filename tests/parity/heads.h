// The logits of a model's heads. No program has them as a slot: product and loss are one op, over chunks of tokens. So the
// op's kernel is replaced by one that makes the same product of the same input first, and then does what it did before.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>

#include "run/kernels/matmul.h"
#include "trellis/run/kernel.h"

namespace trellis::test {

// By the field of labels that a head's logits are compared with; [tokens, classes] without those that pad the vocabulary.
using Logits = std::map<std::string, at::Tensor>;

class HeadWithLogits final : public OpKernel {
 public:
  explicit HeadWithLogits(std::shared_ptr<Logits> logits) : logits_(std::move(logits)) {}

  void forward(KernelContext& c) const override {
    const at::Tensor& table = c.parameters[0];
    const at::Tensor bias = c.parameters.size() > 1 ? c.parameters[1] : at::Tensor();
    const at::Tensor all =
        library_.products().forward(c.inputs[0].reshape({-1, table.size(1)}), table, bias, at::Tensor());
    const Value& labels = c.layer->values[static_cast<std::size_t>(c.op->inputs[1])];
    (*logits_)[labels.name] = all.narrow(1, 0, c.op->integer("real_vocab", all.size(1))).clone();
    kernel().forward(c);
  }
  bool overwrites_gradients() const override { return kernel().overwrites_gradients(); }

 private:
  const OpKernel& kernel() const { return library_.find("cross_entropy"); }

  KernelLibrary library_;
  std::shared_ptr<Logits> logits_;
};

}  // namespace trellis::test
