// The finer replay: the instructions of all stages, the schedule, the update.
#include <fmt/format.h>

#include <algorithm>

#include "plan/cost/stage_run.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {

const PipelineSchedule& find_schedule(const Dimensions& dimensions, std::string_view name) {
  std::vector<std::string> names;
  for (const auto& dimension : dimensions) {
    const auto* schedule = static_cast<const PipelineSchedule*>(dimension->extension(kPipelineSchedule));
    if (!schedule) continue;
    for (const std::string& found : schedule->names()) {
      if (found == name) return *schedule;
      names.push_back(found);
    }
  }
  throw Error(ExitCode::bad_input, fmt::format("no schedule is named '{}'", name),
              suggestion_hint(name, names, "there are"));
}

StepReplay replay_step(const CompiledPlan& compiled, const PipelineSchedule& schedule, const Prices& prices) {
  const Plan& plan = compiled.plan;
  const int stages = static_cast<int>(plan.stages.size());
  StepReplay replay;
  std::vector<StageTimes> times;
  for (int s = 0; s < stages; ++s) {
    replay.stages.push_back(run_stage(compiled, s, prices));
    replay.actions.push_back(schedule.actions(plan.schedule, s, stages, plan.micro_batches));
    times.push_back(replay.stages.back().times);
  }
  const std::vector<Picoseconds> ends = replay_schedule(times, replay.actions);
  Picoseconds norm{0}, after{0};
  for (std::size_t s = 0; s < ends.size(); ++s) {
    norm = std::max(norm, ends[s] + replay.stages[s].before_norm);
    after = std::max(after, replay.stages[s].after);
  }
  replay.step = norm + after;
  return replay;
}

DetailedCost price_plan(const CompiledPlan& compiled, const PipelineSchedule& schedule, const Prices& prices) {
  const StepReplay replay = replay_step(compiled, schedule, prices);
  DetailedCost cost{.step = replay.step, .samples_per_second = 0, .stages = {}};
  for (std::size_t s = 0; s < replay.stages.size(); ++s) {
    const StageRun& run = replay.stages[s];
    cost.stages.push_back({.forward = run.times.forward,
                           .backward = run.times.backward,
                           .update = run.update.total(),
                           .exposed = run.exposed,
                           .memory = replay_memory(*compiled.stages[s], replay.actions[s], compiled.context.dtype)});
  }
  if (cost.step.value > 0) cost.samples_per_second = static_cast<double>(compiled.plan.batch) / to_seconds(cost.step);
  return cost;
}

}  // namespace trellis
