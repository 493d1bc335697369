#include "run/verify/verify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "run/comm/cuda_room.h"
#include "run/comm/thread_ranks.h"
#include "run/memory/memory_counter.h"
#include "run/verify/synthetic_source.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {

struct Verifier::Ranks {
  Ranks(int devices, bool in_memory) : threads(devices, in_memory) {}
  ThreadRanks threads;
};

Verifier::Verifier(const ModelSpec& model, const Dimensions& dimensions, const KernelLibrary& kernels,
                   const OpLibrary& ops, VerifyOptions options)
    : model_(model), dimensions_(dimensions), kernels_(kernels), ops_(ops), options_(options) {
  if (options_.steps < 2) fail(ExitCode::failure, "verification takes at least 2 steps, not {}", options_.steps);
}

Verifier::~Verifier() = default;

CompiledPlan Verifier::compiled(const Plan& plan) const {
  return compile(plan, model_, dimensions_, ops_, options_.dtype);
}

namespace {

std::map<std::string, at::Tensor> on_cpu(std::map<std::string, at::Tensor> tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu();
  return tensors;
}

}  // namespace

TrainedState Verifier::train(const CompiledPlan& compiled, CommWorld& world, bool check_collectives) const {
  const KernelLibrary& kernels = options_.device_kernels ? *options_.device_kernels : kernels_;
  return train_on(options_.device, kernels, compiled, world, check_collectives);
}

TrainedState Verifier::train_on(const std::string& device, const KernelLibrary& kernels, const CompiledPlan& compiled,
                                CommWorld& world, bool check_collectives) const {
  MemoryCounter counted, aside;  // what the comparison itself takes is no part of the run's memory
  const CountMemory counting(counted, Purpose::transient);
  const bool on_gpu = device == "cuda";
  const Bytes before = on_gpu ? cuda_room().memory().current : Bytes{0};
  ExecutorOptions executor_options;
  executor_options.seed = options_.seed;
  executor_options.check_collectives = check_collectives;
  executor_options.device = device;
  executor_options.optimizer.eps = options_.adam_eps();
  const PipelineSchedule& schedule = find_schedule(dimensions_, compiled.plan.schedule);
  Executor executor(compiled, model_, schedule, kernels, ops_, world, executor_options);
  const SyntheticSource data(compiled.plan.batch, fields_of(model_, ops_), options_.seed);

  TrainedState state;
  const auto evaluate = [&](std::int64_t step) {
    if (options_.evaluate) state.evaluations.push_back(executor.evaluate(data, step, step + 1).loss);
  };
  RankMemory memory = predicted(compiled, world.rank());
  evaluate(options_.steps);
  for (int step = 0; step < options_.steps; ++step) {
    executor.keep_gradients(step == 0 || step + 1 == options_.steps);
    if (step == 1) on_gpu ? cuda_room().reset_peak() : counted.reset_peak();
    const StepResult result = executor.train_step(data, step, 1e-2);
    if (step == 1) memory.measured = on_gpu ? cuda_room().memory().peak - before : counted.peak().total();
    state.losses.push_back(result.loss);
    state.norms.push_back(result.gradient_norm);
    const CountMemory comparing(aside, Purpose::transient);
    if (step == 0) state.first_gradients = on_cpu(executor.gradients());
  }
  evaluate(options_.steps + 1);
  const CountMemory comparing(aside, Purpose::transient);
  state.gradients = on_cpu(executor.gradients());
  state.parameters = on_cpu(executor.parameters());
  gather_memory(state, memory, world, device);
  return state;
}

RankMemory Verifier::predicted(const CompiledPlan& compiled, int rank) const {
  const Plan& plan = compiled.plan;
  const int stage = rank / plan.line().size();
  const auto actions = find_schedule(dimensions_, plan.schedule)
                           .actions(plan.schedule, stage, static_cast<int>(plan.stages.size()), plan.micro_batches);
  const StageProgram& program = *compiled.stages.at(static_cast<std::size_t>(stage));
  return {.predicted = replay_memory(program, actions, compiled.context.dtype).peak};
}

void Verifier::gather_memory(TrainedState& state, const RankMemory& mine, CommWorld& world, const std::string& device) const {
  state.memory = {mine};
  if (world.size() == 1) return;
  const auto options = at::TensorOptions(at::kLong).device(at::Device(device));
  const at::Tensor own = at::empty({2}, options), all = at::empty({world.size(), 2}, options);
  own.narrow(0, 0, 1).fill_(mine.measured.value);
  own.narrow(0, 1, 1).fill_(mine.predicted.value);
  world.world().all_gather(all, own)->wait();
  const at::Tensor here = all.cpu();
  const std::int64_t* values = here.const_data_ptr<std::int64_t>();
  state.memory.resize(static_cast<std::size_t>(world.size()));
  for (std::size_t r = 0; r < state.memory.size(); ++r)
    state.memory[r] = {Bytes(values[2 * r]), Bytes(values[2 * r + 1])};
}

const TrainedState& Verifier::reference(std::int64_t batch) {
  if (const auto known = references_.find(batch); known != references_.end()) return known->second;
  const int layers = static_cast<int>(model_.layers.size());
  const Plan plan{.batch = batch, .stages = {{0, layers - 1}}, .layers = std::vector<Strategy>(model_.layers.size())};
  const std::unique_ptr<CommWorld> world = single_rank();
  return references_[batch] = train_on("cpu", kernels_, compiled(plan), *world, false);
}

namespace {

// The worst over the tensors.
void compare_tensors(const std::map<std::string, at::Tensor>& mine, const std::map<std::string, at::Tensor>& theirs,
                     double floor, const std::string& what, PlanCheck& check) {
  double largest = 0;
  for (const auto& [name, tensor] : theirs) largest = std::max(largest, tensor.abs().max().item<double>());
  for (const auto& [name, tensor] : theirs) {
    const auto found = mine.find(name);
    double error = std::numeric_limits<double>::infinity();
    if (found != mine.end() && found->second.sizes() == tensor.sizes())
      error = (found->second - tensor).abs().max().item<double>() /
              std::max({tensor.abs().max().item<double>(), floor * largest, 1e-300});
    if (!(error <= check.worst)) check.worst = error, check.where = what + " of " + name;
  }
}

void compare_numbers(const std::vector<double>& mine, const std::vector<double>& theirs, const std::string& what,
                     PlanCheck& check) {
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double error = std::abs(mine.at(i) - theirs[i]) / std::abs(theirs[i]);
    if (!(error <= check.worst)) check.worst = error, check.where = fmt::format("{} {}", what, i);
  }
}

void compare_memory(const std::vector<RankMemory>& ranks, PlanCheck& check) {
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const auto measured = static_cast<double>(ranks[r].measured.value);
    const double error = std::abs(measured - static_cast<double>(ranks[r].predicted.value)) / measured;
    if (error <= check.memory_error) continue;
    check.memory_error = error;
    check.memory_where = fmt::format("rank {}: {} measured, {} predicted", r, ranks[r].measured, ranks[r].predicted);
  }
}

PlanCheck failed_check(const Plan& plan, const Error& error) {
  PlanCheck failed{.plan = plan, .worst = std::numeric_limits<double>::infinity(), .error = error.what()};
  failed.collectives_equal = failed.error.find("executed collectives differ") == std::string::npos;
  return failed;
}

}  // namespace

PlanCheck Verifier::compare(const Plan& plan, const TrainedState& mine) {
  const TrainedState& theirs = reference(plan.batch);
  PlanCheck check{.plan = plan};
  compare_numbers(mine.losses, theirs.losses, "loss of step", check);
  compare_numbers(mine.norms, theirs.norms, "gradient norm of step", check);
  compare_numbers(mine.evaluations, theirs.evaluations, "evaluation", check);
  compare_tensors(mine.first_gradients, theirs.first_gradients, options_.floor(), "first gradient", check);
  compare_tensors(mine.gradients, theirs.gradients, options_.floor(), "gradient", check);
  compare_tensors(mine.parameters, theirs.parameters, options_.floor(), "parameter", check);
  compare_memory(mine.memory, check);
  return check;
}

PlanCheck Verifier::check(const Plan& plan) {
  auto& ranks = ranks_[plan.devices];
  if (!ranks) ranks = std::make_unique<Ranks>(plan.devices, options_.in_memory);
  try {
    const CompiledPlan program = compiled(plan);
    TrainedState first;
    ranks->threads.run([&](CommWorld& world) {
      TrainedState state = train(program, world, true);
      if (world.rank() == 0) first = std::move(state);
    });
    return compare(plan, first);
  } catch (const Error& error) {
    ranks.reset();
    return failed_check(plan, error);
  }
}

PlanCheck Verifier::check(const Plan& plan, CommWorld& world) {
  CompiledPlan program;
  try {
    program = compiled(plan);
  } catch (const Error& error) {  // the same on all ranks
    return failed_check(plan, error);
  }
  const TrainedState state = train(program, world, true);
  return world.rank() == 0 ? compare(plan, state) : PlanCheck{.plan = plan};
}

}  // namespace trellis
