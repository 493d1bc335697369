// Predictions with their intervals.
#include "trellis/plan/prediction.h"

#include <fmt/format.h>

#include <algorithm>

namespace trellis {
namespace {

// A replay has every tensor of a step but for a few scalars, and leaves out what libraries keep for themselves.
constexpr double kMemoryOff = 0.01;
constexpr Bytes kScalars{4096};

std::vector<MemoryInterval> memory_of(const Plan& plan, const CompiledPlan& compiled, const PipelineSchedule& schedule) {
  std::vector<MemoryInterval> result;
  const int stages = static_cast<int>(compiled.stages.size());
  for (int s = 0; s < stages; ++s) {
    const std::vector<Action> actions = schedule.actions(plan.schedule, s, stages, plan.micro_batches);
    const Bytes peak =
        replay_memory(*compiled.stages[static_cast<std::size_t>(s)], actions, compiled.context.dtype).peak;
    const Bytes off = scaled(peak, kMemoryOff) + kScalars;
    result.push_back({.low = std::max(Bytes{0}, peak - off), .expected = peak, .high = peak + off});
  }
  return result;
}

}  // namespace

double least_margin(Bytes budget) {
  const double whole = std::max(1.0, static_cast<double>(budget.value));
  return std::min(0.5, 1 - (whole - static_cast<double>(kScalars.value)) / ((1 + kMemoryOff) * whole));
}

Prediction predict(const Plan& plan, const ModelSpec& model, const Dimensions& dimensions,
                   std::shared_ptr<const OpLibrary> ops, Dtype dtype, const Cluster& cluster,
                   const std::optional<Profile>& profile) {
  Prediction prediction;
  const auto step = [&](IntervalEnd end) {
    const auto prices = std::make_shared<const Prices>(cluster, profile, ops, end);
    PlanCost cost = Oracle(model, dimensions, ops, dtype, prices).step(plan);
    prediction.basis = prices->basis();
    return cost;
  };
  prediction.low = step(IntervalEnd::lower).step;
  prediction.high = step(IntervalEnd::upper).step;
  prediction.cost = step(IntervalEnd::expected);
  const CompiledPlan compiled = compile(plan, model, dimensions, *ops, dtype);
  prediction.memory = memory_of(plan, compiled, find_schedule(dimensions, plan.schedule));
  return prediction;
}

std::string step_text(const Prediction& p) {
  return fmt::format("{} a step ({} to {}, {})", p.cost.step, p.low, p.high, name_of(p.basis));
}

}  // namespace trellis
