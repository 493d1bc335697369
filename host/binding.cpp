// What keeps a plan from being faster.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "host/ordinary_search.h"
#include "host/what_if_report.h"

namespace trellis::host {
namespace {

std::string in_words(const Binding::Stage& stage) {
  std::vector<std::string> parts;
  for (const auto& [purpose, bytes] : stage.purposes) parts.push_back(fmt::format("{} {}", purpose, bytes));
  return fmt::format("stage {} needs {} of {} ({:.1f} %) as searches count: {}", stage.stage, stage.memory,
                     stage.budget, 100 * ratio(stage.memory, stage.budget), fmt::join(parts, ", "));
}

void take_times(const Plan& plan, const StepReplay& replay, Binding& binding) {
  const auto busy = [](const StageRun& s) { return s.times.forward + s.times.backward; };
  const auto slowest =
      std::ranges::max_element(replay.stages, [&](const StageRun& a, const StageRun& b) { return busy(a) < busy(b); });
  binding.slowest = static_cast<int>(slowest - replay.stages.begin());
  const auto share = [&](Picoseconds time) { return std::min(1.0, ratio(time, replay.step)); };
  const UpdateParts& update = slowest->update;
  binding.communicating = share(slowest->exposed * plan.micro_batches);
  binding.computing = share((busy(*slowest) - slowest->exposed) * plan.micro_batches);
  binding.updating = share(update.total());
  binding.reducing = share(update.exposed_reduction());
  binding.gathering = share(update.gathering);
  binding.optimizing = std::max(0.0, binding.updating - binding.reducing - binding.gathering);
  binding.waiting = std::max(0.0, 1 - binding.computing - binding.communicating - binding.updating);
}

nlohmann::json to_json(const Binding::Stage& stage) {
  nlohmann::json json = {{"stage", stage.stage}, {"memory", stage.memory.value}, {"budget_bytes", stage.budget.value}};
  json["memory_by_purpose"] = nlohmann::json::object();
  for (const auto& [purpose, bytes] : stage.purposes) json["memory_by_purpose"][purpose] = bytes.value;
  return json;
}

}  // namespace

Binding binding_of(const Planning& p, const Plan& plan, const StepReplay& replay) {
  const Problem problem = budgets_of(p);
  const GlobalChoice choice = choice_of(plan);
  const PlanCost cost = oracle_of(p).step(plan);
  const auto stage = [&](int s) {
    const auto at = static_cast<std::size_t>(s);
    return Binding::Stage{
        .stage = s, .memory = cost.memory[at], .budget = problem.stage_budget(choice, s), .purposes = cost.purposes[at]};
  };
  Binding binding;
  for (const int s : full_stages(problem, plan, cost)) binding.full.push_back(stage(s));
  binding.fullest = stage(least_room(problem, choice, cost.memory).stage);
  take_times(plan, replay, binding);
  return binding;
}

void print(const Binding& binding) {
  fmt::print("what binds\n");
  for (const Binding::Stage& stage : binding.full)
    fmt::print("  {}: {}\n", stage.memory > stage.budget ? "does not fit" : "memory", in_words(stage));
  if (binding.full.empty()) fmt::print("  memory does not bind: {}\n", in_words(binding.fullest));
  fmt::print(
      "  time: the slowest stage is {}; of the replayed step it computes {:.0f} %, waits for communication {:.0f} %, "
      "reduces gradients with nothing to hide it {:.0f} %, updates {:.0f} %, gathers updated parameters {:.0f} %; "
      "{:.0f} % is waiting for other stages and the gradient norm\n",
      binding.slowest, 100 * binding.computing, 100 * binding.communicating, 100 * binding.reducing,
      100 * binding.optimizing, 100 * binding.gathering, 100 * binding.waiting);
}

nlohmann::json to_json(const Binding& binding) {
  nlohmann::json json;
  json["full_stages"] = nlohmann::json::array();
  for (const Binding::Stage& stage : binding.full) json["full_stages"].push_back(to_json(stage));
  json["fullest_stage"] = to_json(binding.fullest);
  json["slowest_stage"] = binding.slowest;
  json["share_of_step"] = {{"computing", binding.computing},
                           {"communicating", binding.communicating},
                           {"updating", binding.updating},
                           {"reducing", binding.reducing},
                           {"gathering", binding.gathering},
                           {"optimizing", binding.optimizing},
                           {"waiting", binding.waiting}};
  return json;
}

}  // namespace trellis::host
