#include "run/profile/kernel_timer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

#include "run/kernels/support.h"
#include "run/profile/any_values.h"

namespace trellis::profile {
namespace {

constexpr std::int64_t kColdBytes =
    48 << 20;  // sets of tensors rotate until this much was touched: beyond a core's caches
constexpr std::size_t kMostSets = 8;
constexpr double kSeconds = 0.03;                // of measuring a kernel, at the least
constexpr std::size_t kFewest = 5, kMost = 300;  // calls

}  // namespace

KernelCall::KernelCall(const Measurement& m, const KernelLibrary& kernels, const at::TensorOptions& device)
    : measurement_(m),
      spec_(*m.stage->specs[static_cast<std::size_t>(m.instruction.layer)]),
      op_(spec_.ops[static_cast<std::size_t>(m.instruction.op)]),
      kernel_(kernels.find(m.stage->placements[static_cast<std::size_t>(m.instruction.layer)].contract_for(op_.kind))),
      device_(device),
      sizes_(op_sizes(spec_, op_, m.stage->placements[static_cast<std::size_t>(m.instruction.layer)], m.context)) {
  // Local sizes as on one device: what the op would exchange with others is priced apart.
  for (AxisList& axes : sizes_.axes) axes.clear();
  std::ranges::fill(sizes_.degree, 1);
  for (std::size_t k = 0; k < m.instruction.in.size(); ++k) in_.push_back(value_of(k));
  context_ = context();
}

at::Tensor KernelCall::value_of(std::size_t k) const {
  const SlotId s = measurement_.instruction.in[k];
  if (s < 0) return {};
  const Slot& slot = measurement_.stage->slots[static_cast<std::size_t>(s)];
  if (slot.field)  // ids are of rows that are here, as if the table had no others
    return any_values(*measurement_.stage, s, spec_, op_, k - (measurement_.instruction.kind == InstructionKind::forward ? 0 : 1),
                      *measurement_.context.ops, device_, local_rows());
  return at::randn(slot.shape, device_.dtype(at::kFloat)).to(scalar_type(slot.dtype));
}

std::int64_t KernelCall::local_rows() const {
  if (op_.parameters.empty()) return 0;
  const ParameterPlace place =
      measurement_.stage->parameters[static_cast<std::size_t>(measurement_.instruction.layer)].at(op_.parameters.front());
  return measurement_.stage->buckets[static_cast<std::size_t>(place.bucket)]
      .shapes[static_cast<std::size_t>(place.position)]
      .front();
}

at::Tensor KernelCall::parameter_of(ParameterId p, bool gradient) const {
  const ParameterPlace place =
      measurement_.stage->parameters[static_cast<std::size_t>(measurement_.instruction.layer)].at(p);
  const Shape& shape = measurement_.stage->buckets[static_cast<std::size_t>(place.bucket)]
                           .shapes[static_cast<std::size_t>(place.position)];
  const Dtype dtype = measurement_.context.dtype;
  if (gradient) return at::zeros(shape, device_.dtype(scalar_type(gradient_dtype(dtype))));
  return at::randn(shape, device_.dtype(at::kFloat)).mul_(0.02).to(scalar_type(dtype));
}

KernelContext KernelCall::context() const {
  const Instruction& i = measurement_.instruction;
  KernelContext k;
  k.layer = &spec_, k.op = &op_, k.sizes = &sizes_;
  k.dtype = measurement_.context.dtype;
  k.offset.assign(spec_.dims.size(), 0);
  k.loss_scale = 1e-3;
  const DimId batch = spec_.values[static_cast<std::size_t>(op_.inputs.front())].dims.front();
  k.samples = at::arange(sizes_.size[static_cast<std::size_t>(batch)], device_.dtype(at::kLong));
  for (ParameterId p : op_.parameters) {
    k.parameters.push_back(i.kind == InstructionKind::weight_gradient ? at::Tensor() : parameter_of(p, false));
    const bool makes_gradients =
        i.kind != InstructionKind::input_gradient &&
        (i.kind != InstructionKind::forward || measurement_.context.ops->find(op_.kind).once());
    if (makes_gradients) k.parameter_gradients.push_back(parameter_of(p, true));
  }
  const std::size_t inputs = op_.inputs.size();
  if (i.kind == InstructionKind::forward) {
    k.inputs = in_;
    k.extras.resize(i.out.size() - 1);
    if (i.fused >= 0)
      k.fused_bias = parameter_of(spec_.ops[static_cast<std::size_t>(i.fused)].parameters.front(), false);
    return k;
  }
  k.output_gradient = in_.front();
  k.inputs.assign(in_.begin() + 1, in_.begin() + 1 + static_cast<std::ptrdiff_t>(inputs));
  k.output = in_[1 + inputs];
  k.extras.assign(in_.begin() + 2 + static_cast<std::ptrdiff_t>(inputs), in_.end());
  k.input_gradients.resize(inputs);
  for (std::size_t n = 0; n < inputs; ++n) k.wants.push_back(n < i.out.size() && i.out[n] >= 0);
  return k;
}

void KernelCall::run() {
  last_ = context_;
  switch (measurement_.instruction.kind) {
    case InstructionKind::forward:
      return kernel_.forward(last_);
    case InstructionKind::input_gradient:
      return kernel_.input_gradient(last_);
    case InstructionKind::weight_gradient:
      return kernel_.weight_gradient(last_);
    default:
      return kernel_.backward(last_);
  }
}

Bytes KernelCall::bytes() const {
  Bytes total{1};
  for (const auto* slots : {&measurement_.instruction.in, &measurement_.instruction.out})
    for (SlotId s : *slots)
      if (s >= 0) total += measurement_.stage->slots[static_cast<std::size_t>(s)].bytes();
  for (const auto* tensors : {&context_.parameters, &context_.parameter_gradients})
    for (const at::Tensor& t : *tensors)
      if (t.defined()) total += Bytes{static_cast<std::int64_t>(t.nbytes())};
  return total;
}

double time_kernel(const Measurement& m, const KernelLibrary& kernels, const at::TensorOptions& device, bool crowded) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const bool queued = device.device().type() != at::kCPU;  // calls return before the device has finished
  const auto finish = [&] {
    if (queued) at::zeros({1}, device.dtype(at::kFloat)).item<float>();
  };
  std::vector<std::unique_ptr<KernelCall>> calls;
  calls.push_back(std::make_unique<KernelCall>(m, kernels, device));
  const auto sets =
      static_cast<std::size_t>(std::clamp<std::int64_t>(kColdBytes / calls.front()->bytes().value, 1, kMostSets));
  while (calls.size() < sets) calls.push_back(std::make_unique<KernelCall>(m, kernels, device));
  for (auto& call : calls) call->run();  // the first of a shape chooses a library, and pages are touched
  finish();
  if (queued) {
    std::size_t count = 0;
    const auto start = Clock::now();
    do {
      for (std::size_t k = 0; k < 10; ++k) calls[count++ % sets]->run();
      finish();
    } while (seconds(Clock::now() - start) < kSeconds);
    return seconds(Clock::now() - start) / static_cast<double>(count);
  }
  std::vector<double> times;
  double total = 0;
  while ((total < kSeconds || times.size() < kFewest) && times.size() < kMost) {
    const auto start = Clock::now();
    calls[times.size() % sets]->run();
    times.push_back(seconds(Clock::now() - start));
    total += times.back();
  }
  if (crowded) return total / static_cast<double>(times.size());
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

}  // namespace trellis::profile
