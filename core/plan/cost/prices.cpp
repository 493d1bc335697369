// What one instruction takes: measured where the profile knows it, else estimated from the cluster's description.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <mutex>

#include "plan/cost/layer_costs.h"
#include "plan/cost/memo.h"
#include "trellis/plan/error.h"
#include "trellis/plan/profile.h"

namespace trellis {

struct Prices::State {
  std::mutex mutex;
  std::set<std::string> estimated;
  std::atomic<Basis> basis = Basis::measured;
  Memo<std::vector<GroupShape>> shapes;
  void note(std::string what) {
    const std::lock_guard lock(mutex);
    estimated.insert(std::move(what));
  }
};

Prices::Prices(Cluster cluster, std::optional<Profile> profile, std::shared_ptr<const OpLibrary> ops,
               IntervalEnd end)
    : cluster_(std::move(cluster)),
      profile_(std::move(profile)),
      ops_(std::move(ops)),
      end_(end),
      state_(std::make_unique<State>()) {}
Prices::~Prices() = default;

std::set<std::string> Prices::estimated() const {
  const std::lock_guard lock(state_->mutex);
  return state_->estimated;
}

double Prices::slowdown() const { return profile_ && profile_->slowdown >= 1 ? profile_->slowdown : cluster_.slowdown; }

Basis Prices::basis() const { return state_->basis; }

Picoseconds Prices::bounded(Picoseconds time, Basis basis, double off) const {
  for (Basis worst = state_->basis; worst < basis && !state_->basis.compare_exchange_weak(worst, basis);) {
  }
  if (end_ == IntervalEnd::expected) return time;
  const double share = uncertainty(basis, off);
  return scaled(time, end_ == IntervalEnd::lower ? 1 - share : 1 + share);
}

// By how much a step differs from layers that ran alone: seen by bench/truth.py (docs/benchmarks.md, "Predictions"), where
// plans of one family on one rank are all off by up to 5 % to the same side. No profile can say it, as none runs a step.
constexpr double kWholeStep = 0.03;

// Two standard deviations: of repeats of the whole measurement, or of the figure, of what sums of figures miss, and of
// whole steps, which have nothing to do with each other. Single kernels differ more from repeat to repeat, but a plan has so many that this
// averages out.
double Prices::measured_off(double spread) const {
  return profile_ ? 2 * std::hypot(std::max(spread, profile_->spread), profile_->unexplained, kWholeStep) : 0;
}

Picoseconds Prices::copy(Bytes bytes) const {
  if (bytes.value == 0) return {};
  if (profile_ && profile_->copies.size() > 1)
    return bounded(interpolated(profile_->copies, bytes), Basis::interpolated,
                   measured_off(0) + interpolation_error(profile_->copies, bytes));
  const bool measured = profile_ && profile_->copy_bandwidth > 0;
  const double rate = measured ? profile_->copy_bandwidth : cluster_.memory_bandwidth;
  return bounded(from_seconds(static_cast<double>(bytes.value) / rate), measured ? Basis::measured : Basis::estimated,
                 measured_off(0));
}

Picoseconds Prices::launch() const {
  const bool measured = profile_ && profile_->launch.value > 0;
  return bounded(measured ? profile_->launch : cluster_.launch, measured ? Basis::measured : Basis::estimated,
                 measured_off(0));
}

// Copies that were timed by size were whole calls.
Picoseconds Prices::call_with_copy(Bytes bytes) const {
  return profile_ && profile_->copies.size() > 1 ? copy(bytes) : launch() + copy(bytes);
}

namespace {

int steps(int ranks) { return std::bit_width(static_cast<unsigned>(std::max(ranks - 1, 0))); }  // ceil(log2)

Bytes slot_bytes(const StageProgram& stage, SlotId s) {
  return s < 0 ? Bytes{0} : stage.slots[static_cast<std::size_t>(s)].bytes();
}

const Bucket& bucket_of(const StageProgram& stage, const Instruction& i) {
  return stage.buckets[static_cast<std::size_t>(i.bucket)];
}

// The dtype of gradients: that of the loss, or of an open buffer; activations in f64 mean f64.
Dtype gradient_of(const DeriveContext& context) { return gradient_dtype(context.dtype); }

}  // namespace

Picoseconds Prices::collective(MoveKind kind, Bytes received, const GroupShape& group) const {
  const int ranks = group.ranks;
  if (ranks < 2 || kind == MoveKind::slice) return {};
  const bool between = group.nodes > 1;
  const LinkFit* best = nullptr;
  if (profile_)
    for (const LinkFit& fit : profile_->links)
      if (fit.kind == kind && fit.between_nodes == between &&
          (!best || std::abs(fit.ranks - ranks) < std::abs(best->ranks - ranks)))
        best = &fit;
  // One group was measured, alone: on a link that siblings share there is as much more to carry.
  const bool shares = best && group.siblings > 1 && (between ? cluster_.between : cluster_.inside).is_shared;
  if (shares) received = received * group.siblings;
  const double off = measured_off(best ? best->spread : 0);
  if (best && best->ranks == ranks) {
    const bool is_point = std::ranges::count(best->points, received, [](const auto& p) { return p.first; }) > 0;
    return bounded(best->time(received),
                   shares     ? Basis::estimated
                   : is_point ? Basis::measured
                              : Basis::interpolated,
                   shares ? off : off + interpolation_error(best->points, received));
  }
  state_->note(fmt::format("{} among {} devices{}", name_of(kind), ranks, between ? " of several nodes" : ""));
  if (!best) return bounded(cluster_.link(kind, group).time(received), Basis::estimated, off);
  Link link = best->link;
  link.latency = scaled(link.latency, static_cast<double>(steps(ranks)) / steps(best->ranks));
  return bounded(link.time(received), Basis::estimated, off);
}

Picoseconds Prices::collective(MoveKind kind, Bytes received, const DeviceLine& line, const AxisList& axes,
                               Location at) const {
  const int node = cluster_.devices_per_node, offset = at.first_device % node;
  const auto shapes = [&] { return group_shapes(line, axes, offset, node); };
  const bool in_one_node = offset + line.size() <= node;
  const std::vector<GroupShape> all =
      in_one_node ? shapes()
                  : state_->shapes.get(
                        fmt::format("{}|{}|{}", fmt::join(line.atoms, ","), fmt::join(axes, ","), offset), shapes);
  Picoseconds longest{0};
  for (const GroupShape& group : all) longest = std::max(longest, collective(kind, received, group));
  return longest;
}

Picoseconds Prices::transfer(Bytes bytes, const DeviceLine& line, Location at, int distance) const {
  return collective(MoveKind::send_recv, bytes,
                    transfer_shape(line.size(), at.first_device, distance, cluster_.devices_per_node));
}

namespace {

// That of the first tensor that is neither a batch field nor a statistic (attention's log-sum-exp is f32 in bf16 runs).
Dtype compute_dtype(const StageProgram& stage, const Instruction& i) {
  for (const auto* slots : {&i.in, &i.out})
    for (SlotId s : *slots)
      if (s >= 0 && stage.slots[static_cast<std::size_t>(s)].shape.size() > 1 && !stage.slots[static_cast<std::size_t>(s)].field)
        return stage.slots[static_cast<std::size_t>(s)].dtype;
  return Dtype::f32;
}

}  // namespace

Picoseconds Prices::roofline(const StageProgram& stage, const Instruction& i) const {
  Bytes touched = i.scratch;
  for (const auto* slots : {&i.in, &i.out})
    for (SlotId s : *slots) touched += slot_bytes(stage, s);
  const Dtype dtype = compute_dtype(stage, i);
  const Op& op = stage.specs[static_cast<std::size_t>(i.layer)]->ops[static_cast<std::size_t>(i.op)];
  for (ParameterId p : op.parameters) {
    const ParameterPlace place = stage.parameters[static_cast<std::size_t>(i.layer)].at(p);
    const Shape& shape =
        stage.buckets[static_cast<std::size_t>(place.bucket)].shapes[static_cast<std::size_t>(place.position)];
    // A table is read where its ids point, not whole.
    if (op.kind != "embedding") touched += size_of(dtype) * elements(shape);
  }
  auto peak = cluster_.flops.find(std::string(name_of(dtype)));
  if (peak == cluster_.flops.end()) peak = cluster_.flops.begin();
  const double computing = static_cast<double>(i.flops.value) / (peak->second * cluster_.efficiency);
  return bounded(cluster_.launch + from_seconds(std::max(computing, static_cast<double>(touched.value) /
                                                                        (profile_ && profile_->copy_bandwidth > 0
                                                                             ? profile_->copy_bandwidth
                                                                             : cluster_.memory_bandwidth))),
                 Basis::estimated, measured_off(0));
}

Picoseconds Prices::least_time(Flops flops) const {
  double fastest = 0;
  // By the fastest dtype there is: kernels of a run need not all have the run's.
  for (const auto& [name, rate] : cluster_.flops) fastest = std::max(fastest, rate);
  return from_seconds(static_cast<double>(flops.value) / (fastest * cluster_.efficiency));
}

Picoseconds Prices::kernel(const StageProgram& stage, const Instruction& i) const {
  const std::string key = compute_key(stage, i);
  if (profile_)
    if (const auto found = profile_->compute.find(key); found != profile_->compute.end())
      return bounded(found->second, Basis::measured, measured_off(0));
  state_->note(key);
  return roofline(stage, i);
}

// Communication inside a kernel: nothing hides it.
Picoseconds Prices::inner(const StageProgram& stage, const Instruction& i, const DeriveContext& context,
                          Location at) const {
  const std::size_t layer = static_cast<std::size_t>(i.layer);
  const LayerSpec& spec = *stage.specs[layer];
  const Op& op = spec.ops[static_cast<std::size_t>(i.op)];
  const OpContract& contract = ops_->find(stage.placements[layer].contract_for(op.kind));
  const Pass pass = i.kind == InstructionKind::forward           ? Pass::forward
                    : i.kind == InstructionKind::input_gradient  ? Pass::input_gradient
                    : i.kind == InstructionKind::weight_gradient ? Pass::weight_gradient
                                                                 : Pass::backward;
  Picoseconds total{0};
  for (const InnerMove& move : contract.inner_moves(op_sizes(spec, op, stage.placements[layer], context), pass))
    if (move.count > 0)
      total += collective(move.kind, move.bytes / move.count, stage.line, move.axes, at) * move.count;
  return total;
}

Price Prices::price(const StageProgram& stage, const Instruction& i, const DeriveContext& context, Location at) const {
  const auto in = [&] { return slot_bytes(stage, i.in.front()); };
  const auto out = [&] { return slot_bytes(stage, i.out.front()); };
  switch (i.kind) {
    case InstructionKind::forward:
    case InstructionKind::input_gradient:
    case InstructionKind::weight_gradient:
    case InstructionKind::backward:
      return {.compute = kernel(stage, i) + inner(stage, i, context, at)};
    case InstructionKind::add:
      return {.compute = call_with_copy(3 * out())};
    case InstructionKind::slice:
      return {.compute = call_with_copy(2 * out())};
    case InstructionKind::start: {
      // All but a gather put their pieces in order first: one copy.
      const Bytes packed = i.move.kind == MoveKind::all_gather ? Bytes{0} : in();
      return {.compute = copy(2 * packed),
              .transfer = collective(i.move.kind, i.move.bytes, stage.line, i.move.axes, at)};
    }
    case InstructionKind::wait: {
      const bool unpacks =
          i.scratch.value > 0 && (i.move.kind == MoveKind::all_gather || i.move.kind == MoveKind::all_to_all);
      return {.compute = unpacks ? copy(2 * out()) : Picoseconds{0}};
    }
    case InstructionKind::gather_start: {
      const Bucket& bucket = bucket_of(stage, i);
      const Bytes whole = size_of(context.dtype) * bucket.elements;
      return {.transfer = collective(MoveKind::all_gather, received_bytes(MoveKind::all_gather, whole, bucket.degree),
                                     stage.line, bucket.axes, at)};
    }
    case InstructionKind::open_gradient:
      return {.compute = copy(out())};
    case InstructionKind::reduce_start: {
      const Bucket& bucket = bucket_of(stage, i);
      const bool scatters = bucket.split_gradient || bucket.split_optimizer;
      const MoveKind kind = scatters ? MoveKind::reduce_scatter : MoveKind::all_reduce;
      const Bytes whole = size_of(gradient_of(context)) * bucket.elements;
      return {.transfer =
                  collective(kind, received_bytes(kind, whole, bucket.degree), stage.line, bucket.axes, at)};
    }
    case InstructionKind::reduce_wait: {
      const Bucket& bucket = bucket_of(stage, i);
      return {.compute =
                  bucket.split_gradient ? copy(3 * bucket.shard() * size_of(gradient_of(context))) : Picoseconds{0}};
    }
    case InstructionKind::gather_wait:
    case InstructionKind::free:
      return {};
    case InstructionKind::norm: {
      std::int64_t elements = 0;
      for (const Bucket& b : stage.buckets) elements += b.split_optimizer || b.split_gradient ? b.shard() : b.elements;
      const Picoseconds reading = profile_ && profile_->norm.value > 0
                                      ? bounded(scaled(profile_->norm, static_cast<double>(elements) * 1e-6), Basis::measured, measured_off(0))
                                      : copy(elements * size_of(gradient_of(context)));
      return {.compute = reading + collective(MoveKind::all_reduce, Bytes{8}, stage.line, whole_line(stage.line), at)};
    }
    case InstructionKind::adamw: {
      const Bucket& b = bucket_of(stage, i);
      const std::int64_t n = b.split_optimizer || b.split_gradient || b.split_storage ? b.shard() : b.elements;
      if (profile_ && profile_->adamw.value > 0)
        return {.compute = launch() + bounded(scaled(profile_->adamw, static_cast<double>(n) * 1e-6), Basis::measured, measured_off(0))};
      // Reads gradient, moments and master; writes moments, master and the compute copy.
      return {.compute = launch() + copy(n * (7 * size_of(gradient_of(context)) + size_of(context.dtype)))};
    }
    case InstructionKind::tie_gradient:
    case InstructionKind::tie_parameter:
      return update(stage, i, at);
  }
  return {};
}

// A shared parameter between its owner and a further use: the moves on this stage's line, and a transfer between
// stages.
Price Prices::update(const StageProgram& stage, const Instruction& i, Location at) const {
  const Tie& tie = stage.ties[static_cast<std::size_t>(i.tie)];
  const bool gradient = i.kind == InstructionKind::tie_gradient;
  Picoseconds total{0};
  for (const Move& move : gradient ? tie.gradient_moves : tie.parameter_moves)
    total += collective(move.kind, move.bytes, stage.line, move.axes, at);
  if (tie.owner_stage != tie.use_stage) {
    const bool owner = tie.owner_stage == stage.stage;
    const Bucket& bucket = stage.buckets[static_cast<std::size_t>(owner ? tie.owner : tie.use)];
    const int distance = stage.line.size() * std::abs(tie.owner_stage - tie.use_stage);
    total += transfer(size_of(Dtype::f32) * elements(bucket.shapes.front()), stage.line, at, owner ? distance : -distance);
  }
  return {.compute = total};
}

}  // namespace trellis
