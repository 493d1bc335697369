#include "run/executor/stage_runner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "run/kernels/support.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {

StageRunner::StageRunner(const StageProgram& stage, const DeriveContext& derive, const KernelLibrary& kernels, const OpLibrary& contracts,
                         CommWorld& world, ParameterStore& store, int line_rank, int base, std::uint64_t seed, at::TensorOptions device)
    : stage_(stage), derive_(derive), store_(store), rank_(line_rank), base_(base), seed_(seed), device_(device) {
  prepare_ops(kernels, contracts, world);
  forward_moves_ = prepare(stage.forward, world);
  backward_moves_ = prepare(stage.backward, world);
  for (const SlotId term : stage.losses) {
    const AxisList& summed = stage.slots[static_cast<std::size_t>(term)].layout.partial;
    bool reports = true;
    for (Atom a = 0; a < static_cast<Atom>(stage.line.atoms.size()); ++a)
      reports &= std::ranges::find(summed, a) != summed.end() || stage.line.coordinate(rank_, a) == 0;
    if (reports) reported_.push_back(term);
  }
}

std::set<std::string> StageRunner::counted_fields() const {
  std::set<std::string> fields;
  for (const auto& layer : ops_)
    for (const PreparedOp& op : layer)
      if (!op.counted.empty()) fields.insert(op.counted);
  return fields;
}

void StageRunner::prepare_ops(const KernelLibrary& kernels, const OpLibrary& contracts, CommWorld& world) {
  for (std::size_t l = 0; l < stage_.specs.size(); ++l) {
    const LayerSpec& spec = *stage_.specs[l];
    std::vector<PreparedOp>& prepared = ops_.emplace_back();
    for (const Op& op : spec.ops) {
      const std::string_view kind = stage_.placements[l].contract_for(op.kind);
      const OpContract& contract = contracts.find(kind);
      PreparedOp& p = prepared.emplace_back();
      p.layer = &spec, p.op = &op, p.kernel = &kernels.find(kind);
      p.sizes = op_sizes(spec, op, stage_.placements[l], derive_);
      p.makes_gradients_in_forward = contract.once();
      if (std::ranges::find(spec.losses, op.output) != spec.losses.end()) p.counted = counted_field(spec, op);
      p.random = op.kind == "dropout" || op.real("dropout") > 0;
      for (std::size_t d = 0; d < spec.dims.size(); ++d)
        p.offset.push_back(stage_.line.index(rank_, p.sizes.axes[d]) * p.sizes.size[d]);
      for (ParameterId id : op.parameters) p.parameters.push_back(stage_.parameters[l].at(id));
      for (const InnerMove& move : contract.inner_moves(p.sizes, Pass::forward)) {
        std::vector<int> group = stage_.line.group(rank_, move.axes);
        for (int& r : group) r += base_;
        p.inner[move.axes] = &world.group(group);
      }
    }
  }
}

StageRunner::Moves StageRunner::prepare(const Instructions& list, CommWorld& world) const {
  Moves moves;
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].kind == InstructionKind::slice || list[i].kind == InstructionKind::start || list[i].kind == InstructionKind::wait)
      moves.emplace(i, prepare_move(list[i].move, stage_.line, rank_, base_, world));
  return moves;
}

MicroBatch StageRunner::open(int index) const {
  MicroBatch m;
  m.index = index;
  m.slots.resize(stage_.slots.size());
  return m;
}

void StageRunner::cut_fields(MicroBatch& m, const PassContext& c) const {
  const CountMemory scope(Purpose::activation);
  for (const FieldUse& use : stage_.fields) {
    const Slot& slot = stage_.slots[static_cast<std::size_t>(use.slot)];
    const Value& value = stage_.specs[static_cast<std::size_t>(slot.layer)]->values[static_cast<std::size_t>(use.value)];
    const Box box = local_box(slot.global, slot.layout, stage_.line, rank_);
    const std::int64_t first = m.index * derive_.micro_batch;
    const LayerSpec& spec = *stage_.specs[static_cast<std::size_t>(slot.layer)];
    FieldRequest request{.name = value.name, .step = c.step, .row_begin = first + box.begin[0],
                         .row_end = first + box.end[0], .position_end = 1};
    std::size_t next = 1;
    if (const Dim* dim = box.begin.size() > 1 ? &spec.dims[static_cast<std::size_t>(value.dims[1])] : nullptr;
        dim && dim->role == kSequence) {
      request.position_begin = box.begin[1], request.position_end = box.end[1], request.sequence = dim->size;
      ++next;
    }
    if (next < slot.shape.size()) request.features = 1;
    for (; next < slot.shape.size(); ++next) request.features *= slot.shape[next];
    const at::Tensor cut = c.data->field(request).reshape(slot.shape);
    m.slots[static_cast<std::size_t>(use.slot)] = cut.to(device_.dtype(scalar_type(slot.dtype)));
  }
}

at::Tensor StageRunner::parameter(const ParameterPlace& place, const MicroBatch& m) const {
  const BucketState& state = store_[place.bucket];
  if (!state.bucket->split_storage) return state.parameters[static_cast<std::size_t>(place.position)];
  return ParameterStore::view(*state.bucket, place.position, m.slots[static_cast<std::size_t>(state.bucket->gathered)]);
}

at::Tensor StageRunner::parameter_gradient(const ParameterPlace& place, const MicroBatch& m) const {
  const BucketState& state = store_[place.bucket];
  if (!state.bucket->split_gradient) return state.gradients[static_cast<std::size_t>(place.position)];
  return ParameterStore::view(*state.bucket, place.position, m.slots[static_cast<std::size_t>(state.bucket->open)]);
}

// Whether the kernel has to overwrite; zeroes the view for kernels that only add.
bool StageRunner::first_write(const ParameterPlace& place, bool overwrites, const at::Tensor& view) const {
  BucketState& state = store_[place.bucket];
  if (state.bucket->split_gradient || state.written[static_cast<std::size_t>(place.position)]) return false;
  state.written[static_cast<std::size_t>(place.position)] = true;
  if (!overwrites) view.zero_();
  return overwrites;
}

KernelContext StageRunner::context(const Instruction& i, const PreparedOp& p, const MicroBatch& m, const PassContext& c) const {
  KernelContext k;
  k.layer = p.layer, k.op = p.op, k.sizes = &p.sizes;
  k.dtype = derive_.dtype;
  k.recomputed = i.recomputed;
  k.training = c.training;
  k.offset = p.offset;
  k.seed = seed_, k.step = static_cast<std::uint64_t>(c.step);
  k.layer_index = static_cast<std::uint64_t>(stage_.first_layer + i.layer), k.op_index = static_cast<std::uint64_t>(i.op);
  if (!p.counted.empty()) k.loss_scale = c.loss_scales.at(p.counted) * p.op->real("weight", 1);
  k.inner = p.inner;
  if (p.random && c.training) {
    const auto& dims = p.layer->values[static_cast<std::size_t>(p.op->output)].dims;
    const DimId batch = dims.front();
    const std::int64_t first = c.step * c.data->batch() + m.index * derive_.micro_batch + p.offset[static_cast<std::size_t>(batch)];
    k.samples = at::arange(first, first + p.sizes.size[static_cast<std::size_t>(batch)], device_.dtype(at::kLong));
  }
  const bool gathered = i.kind == InstructionKind::forward || i.kind == InstructionKind::input_gradient || i.kind == InstructionKind::backward;
  for (const ParameterPlace& place : p.parameters) k.parameters.push_back(gathered ? parameter(place, m) : at::Tensor());
  const bool adds = i.kind == InstructionKind::weight_gradient || i.kind == InstructionKind::backward ||
                    (i.kind == InstructionKind::forward && p.makes_gradients_in_forward);
  if (adds && c.training)
    for (const ParameterPlace& place : p.parameters) {
      k.parameter_gradients.push_back(parameter_gradient(place, m));
      k.fresh.push_back(first_write(place, p.kernel->overwrites_gradients(), k.parameter_gradients.back()));
    }
  return k;
}

void StageRunner::compute(const Instruction& i, MicroBatch& m, const PassContext& c) {
  const PreparedOp& p = ops_[static_cast<std::size_t>(i.layer)][static_cast<std::size_t>(i.op)];
  KernelContext k = context(i, p, m, c);
  const auto slot = [&](SlotId s) { return s < 0 ? at::Tensor() : m.slots[static_cast<std::size_t>(s)]; };
  if (i.kind == InstructionKind::forward) {
    for (SlotId s : i.in) k.inputs.push_back(slot(s));
    k.extras.resize(i.out.size() - 1);
    if (i.fused >= 0) {
      const PreparedOp& bias = ops_[static_cast<std::size_t>(i.layer)][static_cast<std::size_t>(i.fused)];
      k.fused_bias = parameter(bias.parameters.front(), m);
    }
    p.kernel->forward(k);
    if (!c.training && std::ranges::find(reported_, i.out[0]) != reported_.end())
      m.right += k.right ? static_cast<double>(*k.right) * c.loss_scales.at(p.counted) : std::numeric_limits<double>::quiet_NaN();
    m.slots[static_cast<std::size_t>(i.out[0])] = std::move(k.output);
    for (std::size_t e = 0; e < k.extras.size(); ++e) m.slots[static_cast<std::size_t>(i.out[e + 1])] = std::move(k.extras[e]);
    return;
  }
  const std::size_t inputs = p.op->inputs.size();
  k.output_gradient = slot(i.in[0]);
  for (std::size_t n = 0; n < inputs; ++n) k.inputs.push_back(slot(i.in[1 + n]));
  k.output = slot(i.in[1 + inputs]);
  for (std::size_t n = 2 + inputs; n < i.in.size(); ++n) k.extras.push_back(slot(i.in[n]));
  k.input_gradients.resize(inputs);
  for (std::size_t n = 0; n < inputs; ++n) k.wants.push_back(n < i.out.size() && i.out[n] >= 0);
  if (i.kind == InstructionKind::input_gradient) p.kernel->input_gradient(k);
  else if (i.kind == InstructionKind::weight_gradient) p.kernel->weight_gradient(k);
  else p.kernel->backward(k);
  for (std::size_t n = 0; n < i.out.size(); ++n)
    if (i.out[n] >= 0) m.slots[static_cast<std::size_t>(i.out[n])] = std::move(k.input_gradients[n]);
}

void StageRunner::gather_start(const Instruction& i, MicroBatch& m) {
  const CountMemory scope(Purpose::parameter);
  BucketState& state = store_[i.bucket];
  Flight flight{.source = state.storage, .destination = at::empty({state.bucket->elements}, state.storage.options())};
  flight.work = state.comm->all_gather(flight.destination, flight.source);
  m.flights[i.out[0]] = std::move(flight);
}

void StageRunner::start_reduction(BucketId b, const at::Tensor& open) {
  const CountMemory scope(Purpose::gradient);
  BucketState& state = store_[b];
  Reduction& r = reductions_[b];
  const at::Tensor& whole = open.defined() ? open : state.gradient;
  if (!state.bucket->split_optimizer && !state.bucket->split_gradient) {
    r.work = state.comm->all_reduce(whole);
    return;
  }
  r.shard = at::empty({state.bucket->shard()}, whole.options());
  r.work = state.comm->reduce_scatter(r.shard, whole);
}

void StageRunner::wait_reduction(BucketId b) {
  const auto found = reductions_.find(b);
  if (found == reductions_.end()) fail(ExitCode::failure, "bucket {}: a reduction is waited for that was not started", b);
  Reduction r = std::move(found->second);
  reductions_.erase(found);
  r.work->wait();
  BucketState& state = store_[b];
  if (state.bucket->split_gradient) {
    if (state.shard_written) state.gradient.add_(r.shard);
    else state.gradient.copy_(r.shard);
    state.shard_written = true;
  }
  if (!state.bucket->split_gradient && state.bucket->split_optimizer) state.shard_of(state.gradient).copy_(r.shard);
}

void StageRunner::run(const Instructions& list, const Moves& moves, MicroBatch& m, const PassContext& c) {
  const CountMemory scope(Purpose::activation);
  const auto slot = [&](SlotId s) -> at::Tensor& { return m.slots[static_cast<std::size_t>(s)]; };
  for (std::size_t n = 0; n < list.size(); ++n) {
    const Instruction& i = list[n];
    if (i.last_only && !c.last) continue;
    switch (i.kind) {
      case InstructionKind::forward:
      case InstructionKind::input_gradient:
      case InstructionKind::weight_gradient:
      case InstructionKind::backward: compute(i, m, c); break;
      case InstructionKind::add:
        if (i.out[0] == i.in[0]) slot(i.in[0]).add_(slot(i.in[1]));
        else slot(i.out[0]) = at::add(slot(i.in[0]), slot(i.in[1]));
        break;
      case InstructionKind::slice: slot(i.out[0]) = run_slice(moves.at(n), slot(i.in[0])); break;
      case InstructionKind::start: m.flights[i.out[0]] = start_move(moves.at(n), slot(i.in[0]).contiguous()); break;
      case InstructionKind::wait: {
        auto flight = m.flights.extract(i.out[0]);
        slot(i.out[0]) = finish_move(moves.at(n), std::move(flight.mapped()));
        break;
      }
      case InstructionKind::gather_start: gather_start(i, m); break;
      case InstructionKind::gather_wait: {
        auto flight = m.flights.extract(i.out[0]);
        flight.mapped().work->wait();
        slot(i.out[0]) = std::move(flight.mapped().destination);
        break;
      }
      case InstructionKind::open_gradient: {
        const CountMemory gradient(Purpose::gradient);
        const BucketState& state = store_[i.bucket];
        if (c.training) slot(i.out[0]) = at::zeros({state.bucket->elements}, state.gradient.options());
        break;
      }
      case InstructionKind::reduce_start:
        if (c.training) start_reduction(i.bucket, i.in.empty() ? at::Tensor() : slot(i.in[0]));
        break;
      case InstructionKind::reduce_wait:
        if (c.training) wait_reduction(i.bucket);
        break;
      case InstructionKind::free:
        for (SlotId s : i.in) slot(s) = at::Tensor();
        break;
      default: fail(ExitCode::failure, "instruction {} does not belong in a pass", name_of(i.kind));
    }
    if (observer_) observer_(i);
  }
}

Bytes StageRunner::bytes_of(const MicroBatch& m) const {
  std::set<const c10::StorageImpl*> counted;
  Bytes bytes{0};
  for (const at::Tensor& slot : m.slots)
    if (slot.defined() && counted.insert(slot.storage().unsafeGetStorageImpl()).second)
      bytes += allocated(Bytes(static_cast<std::int64_t>(slot.storage().nbytes())));
  return bytes;
}

at::Tensor StageRunner::loss(const MicroBatch& m) const {
  at::Tensor sum;
  for (const SlotId term : reported_) {
    const at::Tensor& part = m.slots[static_cast<std::size_t>(term)];
    sum = sum.defined() ? sum.add(part) : part;
  }
  return sum;
}

}  // namespace trellis
