// The finer replay: the instructions of all stages, the schedule, the update.
#include <fmt/format.h>

#include <algorithm>

#include "plan/cost/timeline.h"
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

namespace {

Bytes total(const StageProgram& stage, const std::vector<SlotId>& slots) {
  Bytes bytes{0};
  for (SlotId s : slots) bytes += stage.slots[static_cast<std::size_t>(s)].bytes();
  return bytes;
}

// One stage's update, up to the norm (which all stages wait for) and after it.
struct UpdateTimes {
  Picoseconds before{0}, after{0};
};
UpdateTimes time_update(const StageProgram& stage, ListRunner& runner, Picoseconds backlog, double slowdown) {
  UpdateTimes times;
  Timeline time(slowdown);
  const Picoseconds first = time.start(backlog, Timeline::Queue::reductions);
  for (auto& [bucket, place] : runner.reductions) place = first;
  Picoseconds norm{0};
  for (const Instruction& i : stage.update) {
    if (i.kind == InstructionKind::norm) norm = time.now();
    runner.run(i, time);
  }
  time.wait_all();
  times.before = norm;
  times.after = time.now() - norm;
  return times;
}

}  // namespace

DetailedCost price_plan(const CompiledPlan& compiled, const PipelineSchedule& schedule, const Prices& prices) {
  const Plan& plan = compiled.plan;
  const int stages = static_cast<int>(plan.stages.size()), width = plan.line().size();
  DetailedCost cost;
  std::vector<StageTimes> times;
  std::vector<std::vector<Action>> actions;
  std::vector<UpdateTimes> updates;
  for (int s = 0; s < stages; ++s) {
    const StageProgram& stage = *compiled.stages[static_cast<std::size_t>(s)];
    const Location at{.first_device = s * width};
    StageCost mine;
    StageTimes t;
    ListRunner runner{.stage = stage, .prices = prices, .context = compiled.context, .at = at, .last = false};
    const auto pass = [&](const Instructions& list, Timeline time) {
      runner.run(list, time);
      mine.exposed += time.exposed();
      return time;
    };
    const Timeline idle(prices.slowdown());
    t.forward = pass(stage.forward, idle).now();
    t.backward = pass(stage.backward, idle).now();
    const Picoseconds exposed = mine.exposed;
    // Reductions of what only forward adds to (the loss's table) are under way when the last backward begins.
    Timeline busy = idle;
    for (const Instruction& i : stage.forward)
      if (i.last_only) busy.start(prices.price(stage, i, compiled.context, at).transfer, Timeline::Queue::reductions);
    runner.last = true;
    const Timeline last = pass(stage.backward, busy);
    mine.exposed = exposed;
    t.last_backward = last.now(), t.backlog = last.backlog();
    const auto transfer = [&](const std::vector<SlotId>& slots, int to) {
      return slots.empty()
                 ? Picoseconds{0}
                 : prices.transfer(total(stage, slots), stage.line, at, to);
    };
    t.send_forward = transfer(stage.send, width);
    t.send_backward = transfer(stage.send_gradient, -width);
    actions.push_back(schedule.actions(plan.schedule, s, stages, plan.micro_batches));
    updates.push_back(time_update(stage, runner, t.backlog, prices.slowdown()));
    mine.forward = t.forward, mine.backward = t.backward;
    mine.update = t.last_backward - t.backward + updates.back().before + updates.back().after;
    mine.memory = replay_memory(stage, actions.back(), compiled.context.dtype);
    times.push_back(t);
    cost.stages.push_back(std::move(mine));
  }
  const std::vector<Picoseconds> ends = replay_schedule(times, actions);
  Picoseconds norm{0}, after{0};
  for (std::size_t s = 0; s < ends.size(); ++s) {
    norm = std::max(norm, ends[s] + updates[s].before);
    after = std::max(after, updates[s].after);
  }
  cost.step = norm + after;
  cost.samples_per_second = cost.step.value > 0 ? static_cast<double>(plan.batch) / to_seconds(cost.step) : 0;
  return cost;
}


}  // namespace trellis
