#include "cost.h"

#include <algorithm>
#include <cmath>

#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

constexpr double kBytesOfMb = 1024.0 * 1024.0;
constexpr double kMsToSeconds = 1e-3;
// Defect of the reference: the backward pass is twice the forward pass of any layer, and nothing has an overhead.
constexpr double kBackward = 2;
constexpr double kFrameworkMb = 1024;  // on every stage

// With a reduction of `volume` MB behind the backward pass: the longer of both, and the shorter one's slowdown.
double forward_and_backward(double forward, double backward, double volume, double per_mb, double slowdown) {
  const double slow_per_mb = per_mb * slowdown, reduction = volume * slow_per_mb, slow_backward = backward * slowdown;
  if (reduction < slow_backward) return forward + reduction + (backward - reduction / slowdown);
  if (reduction == slow_backward) return forward + slow_backward;
  return forward + slow_backward + (volume - slow_backward / slow_per_mb) * per_mb;
}

// In the vocabulary layers only computation is slowed down, and what is longer hides the rest.
double hide(double communication, double computation, double slowdown) {
  if (communication >= computation * slowdown) return communication;
  return communication + (computation * slowdown - communication) / slowdown;
}

}  // namespace

Budget budget_of(const Settings& s) {
  if (s.budget / 1024 <= 20) return {s.budget, 0};
  const auto held_back = static_cast<std::int64_t>(static_cast<double>(s.budget) * 0.2);
  return {s.budget - held_back, held_back};
}

// Defect of the reference: rounded down twice, so what does not divide is free.
std::int64_t CostModel::local_samples(const Layout& layout, const Task& task) const {
  return task.batch / task.micro_batches / layout.dp;
}

double CostModel::megabytes(std::int64_t samples) const {
  return static_cast<double>(samples * s_.sequence * s_.hidden) * (s_.half_precision() ? 2 : 4) / kBytesOfMb;
}

// Of tp or Ulysses, ms. Defects of the reference: tp counts 6 half all-reduces (8 are needed); Ulysses' table is of a
// device's own buffer, but its message is not divided by the degree; recomputation repeats half of all of it.
double CostModel::communication(const Layout& layout, std::int64_t samples) const {
  if (layout.degree() == 1) return 0;
  const bool tp = layout.tp > 1;
  const LatencyTable& table = tp ? p_.hardware.all_gather(layout.tp) : p_.hardware.all_to_all(layout.sp);
  const double times = (tp ? 6 : 4) * (layout.checkpoint ? 1.5 : 1);
  return table(megabytes(samples)) * times;
}

// For all layers together and divided at the end, in the reference's order of operations: plans that cost the same but
// for the last bit are ties to the dynamic programming, and rounding decides which of them is found.
LayerTime CostModel::layer_time(const Layout& layout, const Task& task) const {
  const std::int64_t samples = local_samples(layout, task);
  const double slowdown = p_.hardware.overlap, layers = s_.layers;
  const double forward = p_.computation.layer(static_cast<double>(samples) / layout.degree()) * layers;
  double backward = forward * kBackward;
  if (layout.checkpoint) backward += forward;

  // Volume of the gradients' all-reduce. Defect: ZeRO-2 costs what DDP does; its parameters are never gathered.
  const int devices = layout.sharded();
  double volume = 2.0 * (devices - 1) * (p_.memory.parameters / layout.tp / devices) * layers;
  if (s_.half_precision()) volume /= 2;
  // Defect: which ranks the group really spans is not asked; strided figures are of the whole cluster.
  const double per_mb = p_.hardware.all_reduce(devices, layout.tp == 1);
  const double tp_sp = communication(layout, samples) * layers;
  // Defect: of ZeRO-3's gathers one is charged, and never hidden; backward's is in the reduction of one micro-batch
  // only.
  const double gather = layout.type == DpType::zero3 ? volume * 0.5 * per_mb : 0;
  // Defect: the message is not divided by the tp or sp degree, and is never hidden. All layers together send it once.
  double send = 0;
  if (layout.pp > 1) {
    double message = layout.pp * 2.0 * static_cast<double>(samples * s_.sequence * s_.hidden) * 4 / kBytesOfMb;
    if (s_.half_precision()) message /= 2;
    send = message * p_.hardware.send(layout.pp);
  }
  const auto time = [&](double reduced) {
    // Defect: without data parallelism nothing is reduced, although Ulysses' devices share the parameters.
    const double computed =
        layout.dp > 1 ? forward_and_backward(forward, backward, reduced, per_mb, slowdown) : forward + backward;
    return (computed + tp_sp + gather + send) * kMsToSeconds / layers;
  };
  return {time(volume), time(0)};
}

// Share of a parameter's states (parameter, gradient, two moments) that a device holds.
double CostModel::zero_ratio(DpType type, int devices, const Task& task) const {
  if (type == DpType::ddp) return 1;
  const double split = 1.0 / devices + 0.003;
  const bool half = s_.half_precision(), zero3 = type == DpType::zero3;
  const double zero2 = half ? 7.0 / 8 * split + 1.0 / 8 : 3.0 / 4 * split + 1.0 / 4;
  if (task.micro_batches == 1) return zero3 ? split : zero2;
  if (s_.async_gradients) {
    if (zero3) return zero2;  // the gradient stays whole while micro-batches add to it
    return half ? 6.0 / 8 * split + 2.0 / 8 : 2.0 / 4 * split + 2.0 / 4;
  }
  // A gradient in fp32 besides. Defect: fp32 has it already, but only ZeRO-2 knows.
  if (zero3) return split * 5 / 4;
  return half ? zero2 * 5 / 4 : zero2;
}

// Micro-batches that a stage holds activations of.
std::vector<double> CostModel::in_flight(const Task& task) const {
  std::vector<double> result(static_cast<std::size_t>(task.stages), 1);
  if (task.stages == 1) return result;
  for (int stage = 0; stage < task.stages; ++stage)
    result[static_cast<std::size_t>(stage)] = s_.gpipe ? static_cast<double>(task.micro_batches) : task.stages - stage;
  return result;
}

LayerMemory CostModel::layer_memory(const Layout& layout, const Task& task, int stage) const {
  LayerMemory memory;
  memory.states = 4 * (p_.memory.parameters / layout.tp) * zero_ratio(layout.type, layout.sharded(), task);
  const double samples =
      static_cast<double>(local_samples(layout, task)) * in_flight(task)[static_cast<std::size_t>(stage)];
  if (!layout.checkpoint) {
    memory.activation = p_.memory.activation.at(layout.degree()) * samples;
    return memory;
  }
  if (!p_.memory.checkpoint)
    throw Error(ExitCode::bad_input, p_.memory.checkpoint_key + ": required for this search, and not there",
                "profile it, or disable: [ckpt]", {p_.memory.checkpoint_file});
  memory.activation = *p_.memory.checkpoint * samples;
  if (layout.sp > 1 || (layout.tp > 1 && s_.sequence_parallel)) memory.activation /= layout.degree();
  return memory;
}

VocabularyCost CostModel::vocabulary(const Layout& layout, const Task& task) const {
  const std::size_t stages = static_cast<std::size_t>(task.stages), last = stages - 1;
  VocabularyCost cost{std::vector<double>(stages, 0), std::vector<double>(stages, 0),
                      std::vector<double>(stages, kFrameworkMb)};
  const std::int64_t samples = local_samples(layout, task);
  const double slowdown = p_.hardware.overlap;
  const double whole = p_.computation.vocabulary(static_cast<double>(samples) / layout.degree());
  const int devices = layout.sharded();
  const double per_mb = p_.hardware.all_reduce(devices, layout.tp == 1) * (devices - 1) / devices;
  const bool zero3 = layout.type == DpType::zero3;
  const double ratio = zero_ratio(layout.type, devices, task);
  const std::vector<double> held = in_flight(task);

  const auto add = [&](std::size_t stage, const VocabularyMemory& memory, double forward, double gathers) {
    // Defects: half an all-reduce is charged for the gradients of DDP; 16-bit halves the message once more than it is.
    const double message = memory.states.at(layout.tp) / 4 * (s_.half_precision() ? 0.5 : 1) * per_mb;
    const auto time = [&](double backward_share) {
      return kMsToSeconds * (hide(message * (zero3 ? 0.5 : 0), forward, slowdown) +
                             hide(message * backward_share, forward * kBackward, slowdown) + gathers);
    };
    cost.sync[stage] = time(zero3 ? 1.0 : 0.5);
    cost.no_sync[stage] = time(zero3 ? 0.5 : 0);
    cost.memory[stage] += memory.states.at(layout.tp) * ratio +
                          memory.activation.at(layout.degree()) * (static_cast<double>(samples) * held[stage]);
  };
  const double gather = layout.tp > 1 ? p_.hardware.all_gather(layout.tp)(megabytes(samples)) : 0;
  if (stages == 1) {
    add(0, p_.memory.whole, whole, 2 * gather);
  } else {
    add(0, p_.memory.first, whole / 2, gather);
    add(last, p_.memory.last, whole / 2, gather);
  }
  return cost;
}

// Defect: halved for fp32, too: the reference tests whether a precision is named.
double CostModel::shared_buffer(const Task& task) const {
  if (!s_.sequence_parallel || !s_.shared_buffer || task.mode == TpSp::sp_only) return 0;
  const int dp = s_.devices / task.stages / task.widest;
  const double samples = static_cast<double>(task.batch) / static_cast<double>(task.micro_batches) / dp;
  return samples * static_cast<double>(s_.hidden) * static_cast<double>(s_.sequence) * 4 / kBytesOfMb / 2;
}

double CostModel::transition(const Layout& from, const Layout& to, const Task& task) const {
  if (from == to) return 0;
  if (s_.sequence_parallel && from.degree() != to.degree()) {
    // Defect: 1e-7 where bytes times ms per MB make 1e-9 seconds: a hundred times too much. One direction only.
    const int degree = std::max(from.degree(), to.degree()), dp = s_.devices / task.stages / degree;
    const double samples = static_cast<double>(task.batch) / static_cast<double>(task.micro_batches) / dp;
    const double sample = static_cast<double>(s_.sequence * s_.hidden) * (s_.half_precision() ? 2 : 4);
    const double bytes = (degree - 1.0) / degree * samples * sample;
    return bytes * (p_.hardware.all_reduce(degree, true) * 1e-7);
  }
  // Constants that break ties, the later ones over the earlier ones: which of equal plans is found hangs on them.
  if (from.degree() != to.degree() || from.dp != to.dp) return 0;
  const bool same_kind = from.tp == to.tp, same_type = from.type == to.type,
             same_checkpoint = from.checkpoint == to.checkpoint;
  if (!same_kind) return same_type && same_checkpoint && to.sp > 1 ? 1e-10 : 0;
  double cost = 0;
  if (same_checkpoint && !same_type && to.type == DpType::zero3) cost = 1e-9;
  if (same_type && !same_checkpoint && to.checkpoint) cost = 2e-9;
  if (to.type == DpType::zero3 && to.checkpoint) cost = 3e-9;
  if (!same_type && !same_checkpoint && from.type == DpType::zero3 && to.checkpoint) cost = 1e-9;
  return cost;
}

}  // namespace trellis::galvatron
