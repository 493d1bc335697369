#include "run/executor/update.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "run/memory/memory_counter.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

constexpr int kTieTag = 7;

}  // namespace

UpdateRunner::UpdateRunner(const StageProgram& stage, CommWorld& world, ParameterStore& store, StageRunner& passes,
                           const Optimizer& optimizer, int line_rank, int first_base, OptimizerOptions options,
                           at::TensorOptions device)
    : stage_(stage), world_(world), store_(store), passes_(passes), optimizer_(optimizer), rank_(line_rank), options_(options),
      device_(device) {
  const int line = stage.line.size();
  for (const Tie& tie : stage.ties) {
    PreparedTie& p = ties_.emplace_back();
    const int owner = first_base + tie.owner_stage * line, use = first_base + tie.use_stage * line;
    if (tie.use_stage == stage.stage)
      for (const Move& m : tie.gradient_moves) p.gradient.push_back(prepare_move(m, stage.line, rank_, use, world));
    if (tie.owner_stage == stage.stage)
      for (const Move& m : tie.parameter_moves) p.parameter.push_back(prepare_move(m, stage.line, rank_, owner, world));
    if (tie.owner_stage == tie.use_stage || (tie.owner_stage != stage.stage && tie.use_stage != stage.stage)) continue;
    p.to_owner = &world.group({use + rank_, owner + rank_});
    p.to_use = &world.group({owner + rank_, use + rank_});
  }
}

StepResult UpdateRunner::run(double loss, double learning_rate, std::int64_t updates, bool keep_gradients) {
  const CountMemory scope(Purpose::transient);
  StepResult result;
  for (const Instruction& i : stage_.update) switch (i.kind) {
      case InstructionKind::reduce_wait: passes_.wait_reduction(i.bucket); break;
      case InstructionKind::tie_gradient: tie_gradient(i.tie); break;
      case InstructionKind::norm: norm(loss, result, keep_gradients); break;
      case InstructionKind::adamw: adamw(i.bucket, learning_rate, updates); break;
      case InstructionKind::gather_start: gather_start(i.bucket); break;
      case InstructionKind::gather_wait: gathers_.extract(i.bucket).mapped().work->wait(); break;
      case InstructionKind::tie_parameter: tie_parameter(i.tie); break;
      default: fail(ExitCode::failure, "instruction {} does not belong in an update", name_of(i.kind));
    }
  return result;
}

// Each element of each parameter once: of replicated axes only coordinate 0 contributes.
void UpdateRunner::add_squares(const at::Tensor& total) const {
  for (std::size_t b = 0; b < store_.size(); ++b) {
    const BucketState& state = store_[static_cast<BucketId>(b)];
    const Bucket& bucket = *state.bucket;
    if (!bucket.owner) continue;
    const std::int64_t begin = bucket.split_optimizer ? state.shard_index * bucket.shard() : 0;
    const std::int64_t end = bucket.split_optimizer ? begin + bucket.shard() : bucket.elements;
    for (std::size_t p = 0; p < bucket.parameters.size(); ++p) {
      AxisList distinct = bucket.split_optimizer ? bucket.axes : AxisList{};
      for (const AxisList& axes : bucket.layouts[p].split) distinct.insert(distinct.end(), axes.begin(), axes.end());
      bool counts = true;
      for (Atom a = 0; a < static_cast<Atom>(stage_.line.atoms.size()); ++a)
        counts &= std::ranges::find(distinct, a) != distinct.end() || stage_.line.coordinate(rank_, a) == 0;
      const std::int64_t from = std::max(begin, bucket.offsets[p]), to = std::min(end, bucket.offsets[p] + elements(bucket.shapes[p]));
      if (!counts || from >= to) continue;
      const std::int64_t origin = bucket.split_gradient ? begin : 0;
      optimizer_.add_squares(state.gradient.narrow(0, from - origin, to - from), total);
    }
  }
}

void UpdateRunner::norm(double loss, StepResult& result, bool keep_gradients) {
  at::Tensor sums = at::zeros({2}, device_.dtype(at::kDouble));
  add_squares(sums.narrow(0, 0, 1));
  sums.narrow(0, 1, 1).fill_(loss);
  if (world_.size() > 1) world_.world().all_reduce(sums)->wait();
  sums = sums.cpu();
  result.gradient_norm = std::sqrt(sums.data_ptr<double>()[0]);
  result.loss = sums.data_ptr<double>()[1];
  if (!std::isfinite(result.gradient_norm) || !std::isfinite(result.loss))
    fail(ExitCode::failure, "the loss ({}) or the gradient norm ({}) is not finite: a lower learning rate, a longer warmup or clip: 1 usually help; bf16 may need fp32",
         result.loss, result.gradient_norm);
  clip_factor_ = options_.clip > 0 ? std::min(1.0, options_.clip / (result.gradient_norm + 1e-6)) : 1.0;
  for (std::size_t b = 0; keep_gradients && b < store_.size(); ++b)
    store_[static_cast<BucketId>(b)].kept_gradient = store_[static_cast<BucketId>(b)].gradient.clone();
}

void UpdateRunner::adamw(BucketId b, double learning_rate, std::int64_t updates) {
  BucketState& state = store_[b];
  const Bucket& bucket = *state.bucket;
  const std::int64_t begin = bucket.split_optimizer ? state.shard_index * bucket.shard() : 0;
  const std::int64_t length = bucket.split_optimizer ? bucket.shard() : bucket.elements;
  const at::Tensor storage = bucket.split_optimizer && !bucket.split_storage ? state.shard_of(state.storage) : state.storage;
  const at::Tensor gradient = bucket.split_optimizer && !bucket.split_gradient ? state.shard_of(state.gradient) : state.gradient;
  const bool mixed = state.master.defined();
  optimizer_.adamw({.learning_rate = learning_rate, .beta1 = options_.beta1, .beta2 = options_.beta2, .epsilon = options_.eps,
                    .weight_decay = options_.weight_decay},
                   {.parameter = mixed ? state.master : storage, .gradient = gradient, .first_moment = state.first_moment,
                    .second_moment = state.second_moment, .compute = mixed ? storage : at::Tensor(),
                    .decayed = std::clamp<std::int64_t>(bucket.decayed - begin, 0, length)},
                   updates, clip_factor_);
}

void UpdateRunner::gather_start(BucketId b) {
  BucketState& state = store_[b];
  Flight flight{.source = state.shard_of(state.storage).clone()};
  flight.work = state.comm->all_gather(state.storage, flight.source);
  gathers_[b] = std::move(flight);
}

at::Tensor UpdateRunner::whole_gradient(BucketId b) const {
  const BucketState& state = store_[b];
  if (!state.bucket->split_gradient) return state.gradients.front();
  at::Tensor whole = at::empty({state.bucket->elements}, state.gradient.options());
  state.comm->all_gather(whole, state.gradient)->wait();
  return ParameterStore::view(*state.bucket, 0, whole);
}

at::Tensor UpdateRunner::whole_parameter(BucketId b) const {
  const BucketState& state = store_[b];
  if (!state.bucket->split_storage) return state.parameters.front();
  at::Tensor whole = at::empty({state.bucket->elements}, state.storage.options());
  state.comm->all_gather(whole, state.storage)->wait();
  return ParameterStore::view(*state.bucket, 0, whole);
}

void UpdateRunner::add_to_owner(const Tie& tie, const at::Tensor& gradient) {
  BucketState& state = store_[tie.owner];
  if (!state.bucket->split_gradient) {
    state.gradients.front().add_(gradient);
    return;
  }
  at::Tensor flat = at::zeros({state.bucket->elements}, state.gradient.options());
  ParameterStore::view(*state.bucket, 0, flat).copy_(gradient);
  state.gradient.add_(state.shard_of(flat));
}

// Derivation rule 13: one gradient a step, after both sides' own reductions.
void UpdateRunner::tie_gradient(int t) {
  const Tie& tie = stage_.ties[static_cast<std::size_t>(t)];
  const PreparedTie& p = ties_[static_cast<std::size_t>(t)];
  if (tie.use_stage == stage_.stage) {
    const at::Tensor gradient = run_moves(p.gradient, whole_gradient(tie.use)).contiguous();
    if (p.to_owner) p.to_owner->send(gradient, 1, kTieTag)->wait();
    else add_to_owner(tie, gradient);
  } else {
    const Bucket& owner = *store_[tie.owner].bucket;
    at::Tensor gradient = at::empty(owner.shapes.front(), store_[tie.owner].gradient.options());
    p.to_owner->receive(gradient, 0, kTieTag)->wait();
    add_to_owner(tie, gradient);
  }
}

void UpdateRunner::tie_parameter(int t) {
  const Tie& tie = stage_.ties[static_cast<std::size_t>(t)];
  const PreparedTie& p = ties_[static_cast<std::size_t>(t)];
  at::Tensor parameter;
  if (tie.owner_stage == stage_.stage) {
    parameter = run_moves(p.parameter, whole_parameter(tie.owner)).contiguous();
    if (p.to_use) {
      p.to_use->send(parameter, 1, kTieTag)->wait();
      return;
    }
  } else {
    parameter = at::empty(store_[tie.use].bucket->shapes.front(), store_[tie.use].storage.options());
    p.to_use->receive(parameter, 0, kTieTag)->wait();
  }
  BucketState& state = store_[tie.use];
  if (!state.bucket->split_storage) {
    state.parameters.front().copy_(parameter);
    return;
  }
  at::Tensor flat = at::zeros({state.bucket->elements}, state.storage.options());
  ParameterStore::view(*state.bucket, 0, flat).copy_(parameter);
  state.storage.copy_(state.shard_of(flat));
}

}  // namespace trellis
