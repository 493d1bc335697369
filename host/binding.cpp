// What keeps a plan from being faster.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

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

// Whole percents that add up to 100 where the shares add up to 1: the largest rests are rounded up.
std::array<int, 6> percents(const std::array<double, 6>& shares) {
  std::array<int, 6> whole{};
  std::array<std::size_t, 6> order{};
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i)
    whole[i] = static_cast<int>(100 * shares[i]), order[i] = i, sum += shares[i];
  const auto rest = [&](std::size_t i) { return 100 * shares[i] - whole[i]; };
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return rest(a) > rest(b); });
  const int missing = static_cast<int>(std::lround(100 * sum)) - std::accumulate(whole.begin(), whole.end(), 0);
  for (int k = 0; k < missing && k < static_cast<int>(order.size()); ++k) ++whole[order[static_cast<std::size_t>(k)]];
  return whole;
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
  const auto share = percents({binding.computing, binding.communicating, binding.reducing, binding.optimizing,
                               binding.gathering, binding.waiting});
  fmt::print(
      "  time: the slowest stage is {}; of the replayed step it computes {} %, waits for communication {} %, "
      "reduces gradients with nothing to hide it {} %, updates {} %, gathers updated parameters {} %; "
      "{} % is waiting for other stages and the gradient norm\n",
      binding.slowest, share[0], share[1], share[2], share[3], share[4], share[5]);
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
