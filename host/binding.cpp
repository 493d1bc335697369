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
  return fmt::format("stage {} needs {} of {} ({:.1f} %): {}", stage.stage, stage.memory, stage.budget,
                     100 * ratio(stage.memory, stage.budget), fmt::join(parts, ", "));
}

void take_times(const Plan& plan, const DetailedCost& cost, Binding& binding) {
  const auto busy = [](const StageCost& s) { return s.forward + s.backward; };
  const auto slowest =
      std::ranges::max_element(cost.stages, [&](const StageCost& a, const StageCost& b) { return busy(a) < busy(b); });
  binding.slowest = static_cast<int>(slowest - cost.stages.begin());
  const auto share = [&](Picoseconds time) { return std::min(1.0, ratio(time, cost.step)); };
  binding.communicating = share(slowest->exposed * plan.micro_batches);
  binding.computing = share((busy(*slowest) - slowest->exposed) * plan.micro_batches);
  binding.updating = share(slowest->update);
  binding.waiting = std::max(0.0, 1 - binding.computing - binding.communicating - binding.updating);
}

nlohmann::json to_json(const Binding::Stage& stage) {
  nlohmann::json json = {{"stage", stage.stage}, {"memory", stage.memory.value}, {"budget_bytes", stage.budget.value}};
  json["memory_by_purpose"] = nlohmann::json::object();
  for (const auto& [purpose, bytes] : stage.purposes) json["memory_by_purpose"][purpose] = bytes.value;
  return json;
}

}  // namespace

Binding binding_of(const Planning& p, const Plan& plan, const DetailedCost& detailed) {
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
  take_times(plan, detailed, binding);
  return binding;
}

void print(const Binding& binding) {
  fmt::print("what binds\n");
  for (const Binding::Stage& stage : binding.full) fmt::print("  memory: {}\n", in_words(stage));
  if (binding.full.empty()) fmt::print("  no memory: {}\n", in_words(binding.fullest));
  fmt::print(
      "  time: the slowest stage is {}; of the step it computes {:.0f} %, waits for communication {:.0f} %, updates "
      "{:.0f} "
      "%; {:.0f} % is waiting for other stages and the gradient norm\n",
      binding.slowest, 100 * binding.computing, 100 * binding.communicating, 100 * binding.updating,
      100 * binding.waiting);
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
                           {"waiting", binding.waiting}};
  return json;
}

}  // namespace trellis::host
