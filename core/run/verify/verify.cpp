#include "run/verify/verify.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "run/comm/thread_ranks.h"
#include "run/verify/synthetic_source.h"
#include "trellis/plan/error.h"

namespace trellis {

struct Verifier::Ranks {
  Ranks(int devices, bool in_memory) : threads(devices, in_memory) {}
  ThreadRanks threads;
};

Verifier::Verifier(const ModelSpec& model, const Dimensions& dimensions, const PipelineSchedule& schedule, const KernelLibrary& kernels,
                   const OpLibrary& ops, VerifyOptions options)
    : model_(model), dimensions_(dimensions), schedule_(schedule), kernels_(kernels), ops_(ops), options_(options) {}

Verifier::~Verifier() = default;

TrainedState Verifier::train(const Plan& plan, CommWorld& world, bool check_collectives) const {
  const CompiledPlan compiled = compile(plan, model_, dimensions_, ops_, options_.dtype);
  ExecutorOptions executor_options;
  executor_options.seed = options_.seed;
  executor_options.check_collectives = check_collectives;
  executor_options.optimizer.eps = 1e-4;  // Adam amplifies the noise of gradients that are zero in exact arithmetic
  Executor executor(compiled, model_, schedule_, kernels_, ops_, world, executor_options);
  const SyntheticSource data(plan.batch, model_.sequence, model_.vocab, options_.seed);
  TrainedState state;
  for (int step = 0; step < options_.steps; ++step) {
    executor.keep_gradients(step == 0 || step + 1 == options_.steps);
    const StepResult result = executor.train_step(data, step, 1e-2);
    state.losses.push_back(result.loss);
    state.norms.push_back(result.gradient_norm);
    if (step == 0) state.first_gradients = executor.gradients();
  }
  state.gradients = executor.gradients();
  state.parameters = executor.parameters();
  return state;
}

const TrainedState& Verifier::reference(std::int64_t batch) {
  const auto [entry, fresh] = references_.try_emplace(batch);
  if (!fresh) return entry->second;
  const int layers = static_cast<int>(model_.layers.size());
  Plan plan{.batch = batch, .stages = {{0, layers - 1}}, .layers = std::vector<Strategy>(model_.layers.size())};
  const std::unique_ptr<CommWorld> world = single_rank();
  entry->second = train(plan, *world, false);
  return entry->second;
}

namespace {

// max|a - b| / max(max|b|, floor x the largest of the model), the worst over the tensors.
void compare_tensors(const std::map<std::string, at::Tensor>& mine, const std::map<std::string, at::Tensor>& theirs, double floor,
                     const std::string& what, PlanCheck& check) {
  double largest = 0;
  for (const auto& [name, tensor] : theirs) largest = std::max(largest, tensor.abs().max().item<double>());
  for (const auto& [name, tensor] : theirs) {
    const auto found = mine.find(name);
    double error = std::numeric_limits<double>::infinity();
    if (found != mine.end() && found->second.sizes() == tensor.sizes())
      error = (found->second - tensor).abs().max().item<double>() / std::max({tensor.abs().max().item<double>(), floor * largest, 1e-300});
    if (!(error <= check.worst)) check.worst = error, check.where = what + " of " + name;
  }
}

}  // namespace

PlanCheck Verifier::compare(const Plan& plan, const TrainedState& mine) {
  const TrainedState& theirs = reference(plan.batch);
  PlanCheck check{.plan = plan};
  for (std::size_t s = 0; s < theirs.losses.size(); ++s) {
    for (const auto& [a, b, what] : {std::tuple{mine.losses[s], theirs.losses[s], "loss"}, std::tuple{mine.norms[s], theirs.norms[s], "gradient norm"}}) {
      const double error = std::abs(a - b) / std::abs(b);
      if (!(error <= check.worst)) check.worst = error, check.where = fmt::format("{} of step {}", what, s);
    }
  }
  compare_tensors(mine.first_gradients, theirs.first_gradients, options_.floor, "first gradient", check);
  compare_tensors(mine.gradients, theirs.gradients, options_.floor, "gradient", check);
  compare_tensors(mine.parameters, theirs.parameters, options_.floor, "parameter", check);
  return check;
}

PlanCheck Verifier::check(const Plan& plan) {
  auto& ranks = ranks_[plan.devices];
  if (!ranks) ranks = std::make_unique<Ranks>(plan.devices, options_.in_memory);
  TrainedState first;
  try {
    ranks->threads.run([&](CommWorld& world) {
      TrainedState state = train(plan, world, true);
      if (world.rank() == 0) first = std::move(state);
    });
  } catch (const Error& error) {
    ranks.reset();
    PlanCheck failed{.plan = plan, .worst = std::numeric_limits<double>::infinity(), .error = error.what()};
    failed.collectives_equal = failed.error.find("executed collectives differ") == std::string::npos;
    return failed;
  }
  return compare(plan, first);
}

}  // namespace trellis
