// A plan's costs, told: which layers take what time and memory, and what is sent because of what.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "plan/base/words.h"
#include "plan/cost/explain_program.h"
#include "plan/cost/stage_run.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

struct Group {
  int first, last;
  int shown() const { return first == 0 && last > 0 ? first + 1 : first; }
  std::string range() const { return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last); }
};

enum class Borders { kept, ignored };  // of stages

// Runs of layers that are equal in model, strategy and stage.
std::vector<Group> groups(const Plan& plan, const ModelSpec& model, Borders borders = Borders::kept) {
  std::vector<Group> result;
  for (int i = 0; i < static_cast<int>(plan.layers.size()); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool border = borders == Borders::kept && std::ranges::any_of(plan.stages, [i](const StageRange& s) { return s.first == i; });
    if (!border && !result.empty() && plan.layers[at] == plan.layers[at - 1] &&
        model.layers[at] == model.layers[at - 1])
      result.back().last = i;
    else result.push_back({i, i});
  }
  return result;
}

int stage_of(const Plan& plan, int layer) {
  int s = 0;
  while (layer > plan.stages[static_cast<std::size_t>(s)].last) ++s;
  return s;
}

// The layers of a group; communication is that of the one that is shown.
class GroupStory {
 public:
  GroupStory(const CompiledPlan& plan, const Group& group, int shown, const Prices& prices, const StageRun& run)
      : plan_(plan), prices_(prices) {
    cost_.first = group.first, cost_.last = group.last, cost_.stage = stage_of(plan.plan, shown);
    const auto s = static_cast<std::size_t>(cost_.stage);
    stage_ = plan.stages[s].get();
    at_.first_device = cost_.stage * plan.plan.line().size();
    const int first = plan.plan.stages[s].first, local = shown - first;
    for (int layer = group.first; layer <= group.last; ++layer)
      times_.push_back(run.layers[static_cast<std::size_t>(layer - first)]);
    cost_.forward = mean(&LayerTimes::forward), cost_.backward = mean(&LayerTimes::backward);
    cost_.surplus = mean(&LayerTimes::surplus), cost_.is_alike = are_alike();
    for (const Instructions* list : {&stage_->forward, &stage_->backward})
      for (const Instruction& i : *list)
        if (i.layer == local) note(i);
    for (const Bucket& b : stage_->buckets)
      if (b.layer == local) cost_.states += bucket_memory(b, plan.context.dtype).total();
  }

  const LayerGroupCost& cost() const { return cost_; }

 private:
  // So that layers times this is what they add to their stage.
  Picoseconds mean(Picoseconds LayerTimes::* of) const {
    Picoseconds sum{0};
    for (const LayerTimes& t : times_) sum += t.*of;
    return Picoseconds{sum.value / static_cast<std::int64_t>(times_.size())};
  }
  bool are_alike() const {
    return std::ranges::all_of(times_, [&](const LayerTimes& t) {
      return t.forward == times_.front().forward && t.backward == times_.front().backward;
    });
  }

  void note(const Instruction& i) {
    LayerTraffic t;
    if (i.kind == InstructionKind::start) {
      t = {.what = std::string(name_of(i.move.kind)),
           .because = i.because,
           .ranks = stage_->line.degree(i.move.axes),
           .bytes = i.move.bytes};
    } else if (i.kind == InstructionKind::gather_start || i.kind == InstructionKind::reduce_start) {
      const Bucket& b = stage_->buckets[static_cast<std::size_t>(i.bucket)];
      const bool gathers = i.kind == InstructionKind::gather_start;
      const MoveKind kind = gathers                                 ? MoveKind::all_gather
                            : b.split_gradient || b.split_optimizer ? MoveKind::reduce_scatter
                                                                    : MoveKind::all_reduce;
      const Dtype dtype = gathers ? plan_.context.dtype : gradient_dtype(plan_.context.dtype);
      t = {.what = std::string(name_of(kind)),
           .because = i.because + (i.last_only ? "; once a step" : ""),
           .ranks = b.degree,
           .bytes = received_bytes(kind, size_of(dtype) * b.elements, b.degree)};
    } else {
      return;
    }
    t.time = prices_.price(*stage_, i, plan_.context, at_).transfer;
    std::vector<LayerTraffic>& all = cost_.traffic;
    auto same = std::ranges::find_if(all, [&](const LayerTraffic& o) {
      return o.what == t.what && o.because == t.because && o.ranks == t.ranks;
    });
    if (same == all.end()) same = all.insert(all.end(), t), same->bytes = Bytes{0}, same->time = Picoseconds{0};
    ++same->count, same->bytes += t.bytes, same->time += t.time;
  }

  const CompiledPlan& plan_;
  const Prices& prices_;
  const StageProgram* stage_ = nullptr;
  Location at_;
  std::vector<LayerTimes> times_;
  LayerGroupCost cost_;
};

std::string text_of(const LayerGroupCost& cost) {
  std::string out = fmt::format("  a micro-batch: forward {}, backward {}{}; states {}\n", cost.forward, cost.backward,
                                cost.is_alike ? "" : " a layer on average", cost.states);
  if (cost.surplus > Picoseconds{0})
    out += fmt::format("  the last one: backward {} longer, beside gradient reductions\n", cost.surplus);
  for (const LayerTraffic& t : cost.traffic)
    out += fmt::format("    {:>2} x {:<22} {:>10}  {:>10}{}   {}\n", t.count,
                       fmt::format("{} among {}", t.what, t.ranks), format(t.bytes), format(t.time),
                       t.count > 1 ? " in all" : "", t.because.empty() ? "" : "because " + t.because);
  return out;
}

// What gradient reductions hold from the last backward on, where that is much of some stage.
std::string staged_line(const CompiledPlan& plan, const DetailedCost& cost) {
  Bytes most{0};
  for (std::size_t s = 0; s < cost.stages.size(); ++s) {
    Bytes staged{0};
    for (const Bucket& b : plan.stages[s]->buckets)
      if (!b.split_gradient) staged += reduction_staging(b, plan.context.dtype);
    if (staged.value * 20 >= cost.stages[s].memory.peak.value) most = std::max(most, staged);
  }
  if (most.value == 0) return {};
  return fmt::format(
      "staged gradients: up to {} of a stage's communication are what reductions receive from other ranks beside the "
      "gradients, from the last backward to the update, under ZeRO 0 and 1; ZeRO 2 and 3 hold one layer's at a time "
      "(search.fix={{zero: {{stage: {{above: 1}}}}}})\n",
      most);
}

std::string stage_lines(const CompiledPlan& plan, const DetailedCost& cost, const std::vector<StageRun>& runs) {
  std::string out;
  for (std::size_t s = 0; s < cost.stages.size(); ++s) {
    const StageCost& stage = cost.stages[s];
    std::vector<std::string> parts;
    for (const auto& [purpose, bytes] : stage.memory.at_peak)
      if (bytes.value > 0) parts.push_back(fmt::format("{} {}", name_of(purpose), bytes));
    out += fmt::format(
        "stage {}  layers {}-{}  forward {}, backward {} a micro-batch ({} waiting for communication), update {}\n", s,
        plan.plan.stages[s].first, plan.plan.stages[s].last, stage.forward, stage.backward, stage.exposed,
        stage.update);
    out += fmt::format("  update: {}\n", update_text(runs[s].update));
    out += fmt::format("  replayed peak memory {} in {}: {}\n", stage.memory.peak, stage.memory.where,
                       fmt::join(parts, ", "));
  }
  return out + staged_line(plan, cost);
}

}  // namespace

std::string plan_table(const Plan& plan, const ModelSpec& model) {
  std::string out = fmt::format("  {:<9} {:<12} {}\n", "layers", "type", "strategy");
  for (const Group& g : groups(plan, model, Borders::ignored)) {
    const auto first = static_cast<std::size_t>(g.first);
    out += fmt::format("  {:<9} {:<12} {}\n", g.range(), model.layers[first]->type, to_string(plan.layers[first]));
  }
  return out;
}

std::vector<LayerGroupCost> layer_group_costs(const CompiledPlan& compiled, const ModelSpec& model,
                                              const PipelineSchedule& schedule, const Prices& prices) {
  const std::vector<StageRun> runs = replay_step(compiled, schedule, prices).stages;
  std::vector<LayerGroupCost> costs;
  for (const Group& g : groups(compiled.plan, model)) {
    const StageRun& run = runs[static_cast<std::size_t>(stage_of(compiled.plan, g.first))];
    costs.push_back(GroupStory(compiled, g, g.shown(), prices, run).cost());
  }
  return costs;
}

std::string explain(const CompiledPlan& compiled, const ModelSpec& model, const PipelineSchedule& schedule,
                    const Prices& prices, const ExplainOptions& options) {
  const Plan& plan = compiled.plan;
  if (options.layer && (*options.layer < 0 || *options.layer >= static_cast<int>(plan.layers.size())))
    fail(ExitCode::usage, "there is no layer {}; the plan has layers 0-{}", *options.layer, plan.layers.size() - 1);
  const std::vector<StageRun> runs = replay_step(compiled, schedule, prices).stages;
  std::string out;
  if (!options.layer) {
    const DetailedCost cost = price_plan(compiled, schedule, prices);
    out += fmt::format("{}, batch {} in {} of {}, schedule {}: replayed {} a step, {:.4g} samples/s\n",
                       number_of(plan.devices, "device"), plan.batch, number_of(plan.micro_batches, "micro-batch"),
                       compiled.context.micro_batch, plan.schedule,
                       cost.step, cost.samples_per_second);
    out += stage_lines(compiled, cost, runs);
  }
  for (const Group& g : groups(plan, model)) {
    if (options.layer && (*options.layer < g.first || *options.layer > g.last)) continue;
    const int shown = options.layer.value_or(g.shown());
    const auto at = static_cast<std::size_t>(shown);
    out += fmt::format("\nlayers {}  {}  {}\n", g.range(), model.layers[at]->type, to_string(plan.layers[at]));
    const Group told = options.layer ? Group{shown, shown} : g;
    const StageRun& run = runs[static_cast<std::size_t>(stage_of(plan, shown))];
    out += text_of(GroupStory(compiled, told, shown, prices, run).cost());
    if (options.program) out += program_text(compiled, shown, prices);
  }
  const auto estimated = prices.estimated().size();
  if (estimated > 0)
    out += fmt::format("\n{} times are estimated from cluster {}, not measured\n", estimated, prices.cluster().name);
  return out;
}

}  // namespace trellis
