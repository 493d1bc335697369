#include "host/replayed.h"

#include <fmt/format.h>

#include <cmath>

#include "plan/cost/stage_run.h"

namespace trellis::host {
namespace {

// About a tenth of a second.
constexpr std::size_t kMostEvents = 1'000'000;

std::size_t events_of(const CompiledPlan& plan) {
  const std::size_t stages = plan.stages.size();
  std::size_t events = 6 * stages * static_cast<std::size_t>(plan.plan.micro_batches);
  for (const auto& stage : plan.stages)
    events += stage->forward.size() + 2 * stage->backward.size() + stage->update.size();
  return events;
}

}  // namespace

std::optional<Picoseconds> replayed_step(const Planning& p, const Plan& plan) {
  const CompiledPlan compiled = compile(plan, p.model, p.dimensions, *p.ops, p.run.train.dtype);
  if (events_of(compiled) > kMostEvents) return std::nullopt;
  const Prices prices(p.cluster, p.profile, p.ops);  // its own: those of the search count what they estimated
  return replay_step(compiled, find_schedule(p.dimensions, plan.schedule), prices).step;
}

std::string beside_prediction(Picoseconds replayed, Picoseconds predicted) {
  const double more = 100 * (ratio(replayed, predicted) - 1);
  if (std::abs(more) < 0.05) return fmt::format("{} a step, as predicted", replayed);
  return fmt::format("{} a step, {:.1f} % {} than predicted", replayed, std::abs(more), more > 0 ? "more" : "less");
}

}  // namespace trellis::host
