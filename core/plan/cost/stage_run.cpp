#include "plan/cost/stage_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace trellis {
namespace {

Bytes total(const StageProgram& stage, const std::vector<SlotId>& slots) {
  Bytes bytes{0};
  for (SlotId s : slots) bytes += stage.slots[static_cast<std::size_t>(s)].bytes();
  return bytes;
}

class Runner {
 public:
  Runner(const CompiledPlan& plan, int stage, const Prices& prices)
      : plan_(plan),
        stage_(*plan.stages[static_cast<std::size_t>(stage)]),
        prices_(prices),
        at_{.first_device = stage * plan.plan.line().size()},
        runner_{.stage = stage_,
                .prices = prices,
                .context = plan.context,
                .at = at_,
                .last = false,
                .moves = {},
                .gathers = {},
                .reductions = {}} {}

  StageRun run() {
    result_.layers.resize(stage_.specs.size());
    StageTimes& t = result_.times;
    const Timeline idle(prices_.slowdown());
    const Timeline forward = pass(stage_.forward, idle, &LayerTimes::forward);
    const Timeline backward = pass(stage_.backward, idle, &LayerTimes::backward);
    t.forward = forward.now(), t.backward = backward.now();
    result_.exposed = forward.exposed() + backward.exposed();
    // Reductions of what only forward adds to (the loss's table) are under way when the last backward begins.
    Timeline busy = idle;
    for (const Instruction& i : stage_.forward)
      if (i.last_only) busy.start(price(i).transfer, Timeline::Queue::reductions);
    runner_.last = true;
    const Timeline last = pass(stage_.backward, busy, &LayerTimes::surplus);
    for (LayerTimes& layer : result_.layers) layer.surplus -= layer.backward;
    t.last_backward = last.now(), t.backlog = last.backlog();
    t.send_forward = transfer(stage_.send, stage_.line.size());
    t.send_backward = transfer(stage_.send_gradient, -stage_.line.size());
    result_.update.slowed = t.last_backward - t.backward;
    run_update();
    return std::move(result_);
  }

 private:
  Price price(const Instruction& i) const { return prices_.price(stage_, i, plan_.context, at_); }

  Timeline pass(const Instructions& list, Timeline time, Picoseconds LayerTimes::* of) {
    for (const Instruction& i : list) {
      if (i.last_only && !runner_.last) continue;
      const Picoseconds before = time.now();
      runner_.run(i, time);
      result_.layers[static_cast<std::size_t>(i.layer)].*of += time.now() - before;
    }
    return time;
  }

  Picoseconds transfer(const std::vector<SlotId>& slots, int to) const {
    return slots.empty() ? Picoseconds{0} : prices_.transfer(total(stage_, slots), stage_.line, at_, to);
  }

  void run_update() {
    UpdateParts& parts = result_.update;
    Timeline time(prices_.slowdown());
    const Picoseconds first = time.start(result_.times.backlog, Timeline::Queue::reductions);
    for (auto& [bucket, place] : runner_.reductions) place = first;
    for (const Instruction& i : stage_.update) {
      const Picoseconds before = time.now();
      if (i.kind == InstructionKind::norm) result_.before_norm = before;
      runner_.run(i, time);
      take(i, time.now() - before, parts);
    }
    const Picoseconds before = time.now();
    time.wait_all();
    parts.gathering += time.now() - before;
    result_.after = time.now() - result_.before_norm;
  }

  void take(const Instruction& i, Picoseconds took, UpdateParts& parts) const {
    switch (i.kind) {
      case InstructionKind::reduce_wait:
        parts.reducing += took;
        return;
      case InstructionKind::norm:
        parts.norm += took;
        return;
      case InstructionKind::tie_gradient:
      case InstructionKind::tie_parameter:
        parts.sharing += took;
        return;
      case InstructionKind::adamw: {
        const Picoseconds alone = std::min(took, price(i).compute);
        parts.optimizer += alone;
        parts.gathering += took - alone;
        return;
      }
      default:
        parts.gathering += took;
    }
  }

  const CompiledPlan& plan_;
  const StageProgram& stage_;
  const Prices& prices_;
  const Location at_;
  ListRunner runner_;
  StageRun result_;
};

}  // namespace

StageRun run_stage(const CompiledPlan& plan, int stage, const Prices& prices) {
  return Runner(plan, stage, prices).run();
}

std::string update_text(const UpdateParts& u) {
  std::vector<std::string> parts;
  const auto add = [&](const char* what, Picoseconds time) {
    if (time > Picoseconds{0}) parts.push_back(fmt::format("{} {}", what, time));
  };
  add("gradient reduction", u.exposed_reduction());
  if (u.slowed > Picoseconds{0} && u.reducing > Picoseconds{0})
    parts.back() += fmt::format(" ({} by slowing the last backward)", u.slowed);
  else if (u.slowed > Picoseconds{0}) parts.back() += " by slowing the last backward";
  add("gradient norm", u.norm);
  parts.push_back(fmt::format("optimizer {}", u.optimizer));
  add("parameter gather", u.gathering);
  add("shared parameters", u.sharing);
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace trellis
