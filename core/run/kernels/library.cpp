#include "run/comm/cuda_room.h"
#include "run/kernels/kernels.h"
#include "run/kernels/matmul.h"
#include "run/optimizer/optimizer.h"
#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis {

OpKernel::~OpKernel() = default;
bool OpKernel::overwrites_gradients() const { return false; }
void OpKernel::input_gradient(KernelContext& c) const {
  fail(ExitCode::failure, "the kernel of '{}' has no input gradient of its own", c.op ? c.op->kind : "");
}
void OpKernel::weight_gradient(KernelContext& c) const {
  fail(ExitCode::failure, "the kernel of '{}' has no weight gradient of its own", c.op ? c.op->kind : "");
}
void OpKernel::backward(KernelContext& c) const {
  input_gradient(c);
  weight_gradient(c);
}

KernelLibrary::KernelLibrary() : products_(std::make_shared<Products>()), optimizer_(make_cpu_optimizer()) {
  add("add", make_add());
  add("attention", make_attention());
  add("bias", make_bias());
  add("bias_at", make_bias_at());
  add("cross_entropy", make_cross_entropy(products_));
  add("dropout", make_dropout());
  add("embedding", make_embedding());
  add("gelu", make_gelu());
  add("layer_norm", make_layer_norm());
  add("linear", make_linear(products_));
  add("multiply", make_multiply());
  add("pick", make_pick());
  add("relu", make_relu());
  add("rms_norm", make_rms_norm());
  add("rotary", make_rotary());
  add("scale", make_scale());
  add("silu", make_silu());
  add("tanh", make_tanh());
}

KernelLibrary::KernelLibrary(std::string_view device) : KernelLibrary() {
  if (device == "cpu") return;
  if (device != "cuda") fail("no kernels for the device '{}'; expected cpu or cuda", device);
  cuda_room().devices();
  cuda_room().add_kernels(*this);
}

void KernelLibrary::replace(std::string kind, std::shared_ptr<const OpKernel> kernel) {
  kernels_.insert_or_assign(std::move(kind), std::move(kernel));
}

void KernelLibrary::replace_optimizer(std::shared_ptr<const Optimizer> optimizer) { optimizer_ = std::move(optimizer); }

void KernelLibrary::add(std::string kind, std::shared_ptr<const OpKernel> kernel) {
  const auto [place, added] = kernels_.emplace(std::move(kind), std::move(kernel));
  if (!added) fail(ExitCode::plugin, "there already is a kernel for ops of kind '{}'", place->first);
}

const OpKernel& KernelLibrary::find(std::string_view kind) const {
  if (const auto found = kernels_.find(kind); found != kernels_.end()) return *found->second;
  std::vector<std::string> kinds;
  for (const auto& [known, kernel] : kernels_) kinds.push_back(known);
  throw Error(ExitCode::plugin, fmt::format("no kernel for ops of kind '{}'", kind),
              suggestion_hint(kind, kinds, "kernels"));
}

}  // namespace trellis
