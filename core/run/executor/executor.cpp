#include "trellis/run/executor.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "run/executor/groups.h"
#include "run/executor/stage_runner.h"
#include "run/executor/update.h"
#include "run/kernels/support.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {


namespace {

CompiledPlan checked(CompiledPlan plan, const CommWorld& world) {
  if (plan.plan.devices != world.size())
    fail(ExitCode::bad_input, "the plan is for {} devices and {} ranks run: start {} ranks, or search for a plan for {}",
         plan.plan.devices, world.size(), plan.plan.devices, world.size());
  return plan;
}

}  // namespace

struct Executor::State {
  State(const CompiledPlan& compiled, const PipelineSchedule& schedules, const KernelLibrary& kernels, const OpLibrary& contract_library,
        CommWorld& comm_world, ExecutorOptions executor_options)
      : options(executor_options), plan(checked(compiled, comm_world)), contracts(contract_library), world(comm_world),
        line(plan.plan.line().size()), stage_index(world.rank() / line), line_rank(world.rank() % line),
        stage(*plan.stages.at(static_cast<std::size_t>(stage_index))), device(at::Device(options.device)),
        actions(schedules.actions(plan.plan.schedule, stage_index, static_cast<int>(plan.stages.size()), plan.plan.micro_batches)),
        groups_ready(create_groups()),
        store(stage, line_rank, stage_index * line, plan.context.dtype, device, world, options.seed, options.weights.get()),
        passes(stage, plan.context, kernels, contracts, world, store, line_rank, stage_index * line, options.seed, device),
        update(stage, world, store, passes, kernels.optimizer(), line_rank, 0, options.optimizer, device) {}

  bool create_groups() {
    world.create_groups(groups_of(plan, contracts));
    return true;
  }
  Comm& edge(int from, int to) { return world.group({from * line + line_rank, to * line + line_rank}); }

  void send(MicroBatch& m, const std::vector<SlotId>& slots, int to) {
    Comm& comm = edge(stage_index, to);
    for (std::size_t k = 0; k < slots.size(); ++k) {
      at::Tensor& slot = m.slots[static_cast<std::size_t>(slots[k])];
      sent.push_back({comm.send(slot.contiguous(), 1, static_cast<int>(k)), slot});
      const bool stays = &slots == &stage.send && std::ranges::count(stage.read_after_send, slots[k]) > 0;
      if (!stays) slot = at::Tensor();
    }
  }
  void receive(MicroBatch& m, const std::vector<SlotId>& slots, int from) {
    const CountMemory scope(Purpose::activation);
    Comm& comm = edge(from, stage_index);
    for (std::size_t k = 0; k < slots.size(); ++k) {
      const Slot& slot = stage.slots[static_cast<std::size_t>(slots[k])];
      at::Tensor tensor = at::empty(slot.shape, device.dtype(scalar_type(slot.dtype)));
      comm.receive(tensor, 0, static_cast<int>(k))->wait();
      m.slots[static_cast<std::size_t>(slots[k])] = std::move(tensor);
    }
  }
  // A sent buffer lives until its receiver has it; at most one micro-batch of them waits.
  void finish_sends(std::size_t leave) {
    while (sent.size() > leave) {
      sent.front().first->wait();
      sent.pop_front();
    }
  }

  struct Sums {
    double loss = 0, right = 0;  // this rank's parts
  };

  // Each term of the loss is divided by its own count in all steps [begin, end).
  PassContext pass(const DataSource& data, std::int64_t begin, std::int64_t end, bool training) const {
    PassContext context{.data = &data, .step = begin, .training = training};
    for (const std::string& field : passes.counted_fields()) {
      std::int64_t count = 0;
      for (std::int64_t step = begin; step < end; ++step) count += data.counted_items(step, field);
      context.loss_scales[field] = 1.0 / static_cast<double>(std::max<std::int64_t>(1, count));
    }
    return context;
  }

  Sums run_actions(PassContext context) {
    std::vector<at::Tensor> losses;  // of micro-batches; read at the end, so that a GPU is not waited for in between
    std::map<int, MicroBatch> open;
    int forwards = 0, backwards = 0;
    Sums sums;
    const auto at = [&](int index) -> MicroBatch& {
      const auto [entry, fresh] = open.try_emplace(index);
      if (fresh) entry->second = passes.open(index);
      return entry->second;
    };
    for (const Action& a : actions) {
      const bool is_backward = a.kind == ActionKind::receive_backward || a.kind == ActionKind::backward || a.kind == ActionKind::send_backward;
      if (is_backward && !context.training) continue;
      switch (a.kind) {
        case ActionKind::receive_forward: receive(at(a.micro_batch), stage.receive, stage_index - 1); break;
        case ActionKind::receive_backward: receive(at(a.micro_batch), stage.receive_gradient, stage_index + 1); break;
        case ActionKind::forward:
          context.last = ++forwards == plan.plan.micro_batches;
          passes.cut_fields(at(a.micro_batch), context);
          passes.forward(at(a.micro_batch), context);
          losses.push_back(passes.loss(at(a.micro_batch)));
          sums.right += at(a.micro_batch).right;
          if (options.check_collectives && context.training) kept = passes.bytes_of(at(a.micro_batch));
          break;
        case ActionKind::backward:
          context.last = ++backwards == plan.plan.micro_batches;
          passes.backward(at(a.micro_batch), context);
          if (stage_index == 0) open.erase(a.micro_batch);
          break;
        case ActionKind::send_forward:
          finish_sends(stage.send.size());
          send(at(a.micro_batch), stage.send, stage_index + 1);
          if (!context.training) open.erase(a.micro_batch);
          break;
        case ActionKind::send_backward:
          finish_sends(stage.send_gradient.size());
          send(at(a.micro_batch), stage.send_gradient, stage_index - 1);
          open.erase(a.micro_batch);
          break;
      }
      if (!context.training && a.kind == ActionKind::forward && stage_index + 1 == static_cast<int>(plan.stages.size())) open.erase(a.micro_batch);
    }
    finish_sends(0);
    for (const at::Tensor& part : losses)
      if (part.defined()) sums.loss += part.item<double>();
    return sums;
  }

  // Every parameter of the model, whole, on every rank: each element comes from one rank, and the sum brings them together.
  using Visitor = std::function<void(const std::string& full_name, at::Tensor)>;
  void collect(bool of_gradients, const Visitor& visitor);
  std::map<std::string, at::Tensor> collect(bool of_gradients) {
    std::map<std::string, at::Tensor> result;
    collect(of_gradients, [&](const std::string& name, at::Tensor whole) { result[name] = std::move(whole); });
    return result;
  }
  // What check_collectives asserts after a step.
  void check_executed(std::vector<CommRecord> executed, std::vector<CommRecord> expected) const;
  void check_kept() const;

  ExecutorOptions options;
  CompiledPlan plan;
  const OpLibrary& contracts;
  CommWorld& world;
  int line, stage_index, line_rank;
  const StageProgram& stage;
  at::TensorOptions device;
  std::vector<Action> actions;
  bool groups_ready;
  ParameterStore store;
  StageRunner passes;
  UpdateRunner update;
  std::deque<std::pair<WorkPtr, at::Tensor>> sent;
  bool keep = false;
  Bytes kept{0};
  std::int64_t updates = 0;
};

Executor::Executor(const CompiledPlan& plan, const ModelSpec&, const PipelineSchedule& schedule, const KernelLibrary& kernels,
                   const OpLibrary& contracts, CommWorld& world, ExecutorOptions options)
    : state_(std::make_unique<State>(plan, schedule, kernels, contracts, world, std::move(options))) {}

Executor::~Executor() = default;

StepResult Executor::train_step(const DataSource& data, std::int64_t step, double learning_rate) {
  State& s = *state_;
  const c10::NoGradGuard no_grad;
  std::vector<CommRecord> executed;
  if (s.options.check_collectives) s.world.record(&executed);
  s.store.begin_step();
  const double loss = s.run_actions(s.pass(data, step, step + 1, /*training=*/true)).loss;
  const StepResult result = s.update.run(loss, learning_rate, ++s.updates, s.keep);
  if (s.options.check_collectives) {
    s.world.record(nullptr);
    s.check_executed(std::move(executed), expected_collectives());
    s.check_kept();
  }
  return result;
}

void Executor::State::check_executed(std::vector<CommRecord> executed, std::vector<CommRecord> expected) const {
  std::ranges::sort(executed), std::ranges::sort(expected);
  if (executed == expected) return;
  const auto [got, want] = std::ranges::mismatch(executed, expected);
  const auto text = [](auto at, auto end) {
    return at == end ? std::string("nothing")
                     : fmt::format("{} among {} ranks of {} bytes", name_of(at->kind), at->group.size(), at->bytes.value);
  };
  fail(ExitCode::failure,
       "rank {}: executed collectives differ from the program's: {} executed, {} expected; first: {} instead of {}",
       world.rank(), executed.size(), expected.size(), text(got, executed.end()), text(want, expected.end()));
}

void Executor::State::check_kept() const {
  const Bytes replayed = replay_memory(stage, actions, plan.context.dtype).kept;
  if (kept != replayed)
    fail(ExitCode::failure, "rank {}: bytes kept for backward differ from the replayed ones: {} instead of {}",
         world.rank(), kept.value, replayed.value);
}

Evaluation Executor::evaluate(const DataSource& data, std::int64_t begin, std::int64_t end) {
  State& s = *state_;
  const c10::NoGradGuard no_grad;
  PassContext context = s.pass(data, begin, end, /*training=*/false);
  State::Sums mine;
  for (; context.step < end; ++context.step) {
    const State::Sums sums = s.run_actions(context);
    mine.loss += sums.loss, mine.right += sums.right;
  }
  at::Tensor all = at::tensor({mine.loss, mine.right}, at::kDouble).to(s.device.device());
  if (s.world.size() > 1) s.world.world().all_reduce(all)->wait();
  all = all.cpu();
  Evaluation result{.loss = all[0].item<double>()};
  std::size_t terms = 0;
  for (const auto& stage : s.plan.stages) terms += stage->losses.size();
  if (const double right = all[1].item<double>(); terms == 1 && !std::isnan(right)) result.accuracy = right;
  return result;
}

void Executor::State::collect(bool of_gradients, const Visitor& visitor) {
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const StageProgram& there = *plan.stages[s];
    for (std::size_t b = 0; b < there.buckets.size(); ++b) {
      const Bucket& bucket = there.buckets[b];
      if (!bucket.owner) continue;
      at::Tensor flat;
      const bool split = of_gradients ? bucket.split_optimizer : bucket.split_storage;
      if (static_cast<int>(s) == stage_index) {
        const BucketState& state = store[static_cast<BucketId>(b)];
        const at::Tensor& mine = of_gradients ? state.kept_gradient : state.storage;
        if (!mine.defined()) fail(ExitCode::failure, "gradients were not kept: call keep_gradients(true) before the step");
        flat = mine;
        if (split) {
          flat = at::zeros({bucket.elements}, mine.options());
          state.shard_of(flat).copy_(mine.numel() == bucket.shard() ? mine : state.shard_of(mine));
        }
      }
      const LayerSpec& spec = *there.specs[static_cast<std::size_t>(bucket.layer)];
      for (std::size_t p = 0; p < bucket.parameters.size(); ++p) {
        const Parameter& parameter = spec.parameters[static_cast<std::size_t>(bucket.parameters[p])];
        const Shape shape = spec.shape(parameter.dims, 0);
        at::Tensor whole = at::zeros(shape, device.dtype(scalar_type(of_gradients ? gradient_dtype(plan.context.dtype) : plan.context.dtype)));
        AxisList distinct = split ? bucket.axes : AxisList{};
        for (const AxisList& axes : bucket.layouts[p].split) distinct.insert(distinct.end(), axes.begin(), axes.end());
        bool mine = flat.defined();
        for (Atom a = 0; mine && a < static_cast<Atom>(there.line.atoms.size()); ++a)
          mine = std::ranges::find(distinct, a) != distinct.end() || there.line.coordinate(line_rank, a) == 0;
        if (mine)
          view_of(whole, local_box(shape, bucket.layouts[p], there.line, line_rank)).copy_(ParameterStore::view(bucket, static_cast<int>(p), flat));
        if (world.size() > 1) world.world().all_reduce(whole)->wait();
        visitor(full_name(there.first_layer + bucket.layer, parameter), std::move(whole));
      }
    }
  }
}

std::map<std::string, at::Tensor> Executor::parameters() { return state_->collect(false); }
std::map<std::string, at::Tensor> Executor::gradients() { return state_->collect(true); }
void Executor::visit_parameters(const std::function<void(const std::string&, at::Tensor)>& visitor) {
  state_->collect(false, visitor);
}
void Executor::keep_gradients(bool on) {
  state_->keep = on;
  for (std::size_t b = 0; !on && b < state_->store.size(); ++b)
    state_->store[static_cast<BucketId>(b)].kept_gradient = at::Tensor();
}
void Executor::observe(std::function<void(const Instruction&)> observer) { state_->passes.observe(std::move(observer)); }
Bytes Executor::kept_bytes() const { return state_->kept; }
const StageProgram& Executor::stage() const { return state_->stage; }

std::vector<CommRecord> Executor::expected_collectives() const {
  return collectives_of(state_->plan, state_->stage_index, state_->line_rank, state_->contracts);
}

}  // namespace trellis
