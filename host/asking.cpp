#include "host/asking.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "host/interruption.h"
#include "plan/base/words.h"

namespace trellis::host {
namespace {

// A search that has a plan can stop when its time is up.
Problem with_start(Problem problem, const CostOracle& oracle) {
  if (problem.start) return problem;
  if (std::optional<LeastMemory> least = least_memory(problem, oracle))
    if (objection(problem, least->plan, oracle.step(least->plan)).empty()) problem.start = std::move(least->plan);
  return problem;
}

}  // namespace

Options limited(const Planning& p, const std::string& name, double seconds) {
  const Options own = options_of(p, name);
  if (name != "exact" || own.has("limit")) return own;
  own.finish();
  return Options::from_text(fmt::format("limit: {{seconds: {}}}", seconds), "the default limit of a what-if");
}

Solver solver_of(const Planning& p, const CostOracle& oracle, const std::string& name, double seconds,
                 Progress progress) {
  return [&p, &oracle, name, options = limited(p, name, seconds), progress](const Problem& problem) {
    return solve(p, name == "exact" ? with_start(problem, oracle) : problem, oracle, name, options, progress);
  };
}

Solver solver_within(const Planning& p, const CostOracle& oracle, double seconds, Deadline until, Progress progress) {
  return [&p, &oracle, seconds, until, progress](const Problem& problem) {
    const Deadline now = std::chrono::steady_clock::now();
    const Deadline own = now + std::chrono::duration_cast<Deadline::duration>(std::chrono::duration<double>(seconds));
    return solve(p, problem, oracle, "exact", Options::empty("the search of a question"), progress, std::min(own, until));
  };
}

Solver until_stopped(Solver solver) {
  return [solver = std::move(solver)](const Problem& problem) {
    if (!Interruption::came()) return solver(problem);
    Answer none;
    none.log.status = "not asked: stopped";
    return none;
  };
}

double seconds_of_limit(const Planning& p, double otherwise) {
  const Options own = options_of(p, "exact");
  if (!own.has("limit")) return otherwise;
  return own.section("limit").find<double>("seconds").value_or(std::numeric_limits<double>::infinity());
}

Bytes whole_budget(const Planning& p, Bytes after_margin) {
  const double left = 1 - p.margin();
  Bytes whole{static_cast<std::int64_t>(static_cast<double>(after_margin.value) / left)};
  while (scaled(whole, left) < after_margin) whole += Bytes{1};
  while (whole.value > 0 && scaled(whole - Bytes{1}, left) >= after_margin) whole -= Bytes{1};
  return whole;
}

std::string in_words(const Plan& plan, const ModelSpec& model) {
  std::vector<std::string> types;
  const LayerSpec* before = nullptr;
  std::vector<StrategyGroup> groups = strategy_groups(plan, model);
  std::ranges::stable_sort(groups, {}, [&](const StrategyGroup& g) {
    return std::ranges::find(model.layers, g.type, [](const auto& l) { return l.get(); }) - model.layers.begin();
  });
  for (const StrategyGroup& g : groups) {
    const auto same = [&](const StrategyGroup& o) { return o.type == g.type; };
    const std::string counted = std::ranges::count_if(groups, same) > 1
                                    ? fmt::format("{} x {}", g.layers.size(), to_string(g.strategy))
                                    : to_string(g.strategy);
    if (g.type == before) types.back() += ", " + counted;
    else types.push_back(fmt::format("{} {}", g.type->type, counted));
    before = g.type;
  }
  const std::size_t stages = plan.stages.size();
  return fmt::format("{} x {}, {}{}; {}", stages, number_of(plan.line().size(), "device"),
                     number_of(plan.micro_batches, "micro-batch"), stages > 1 ? " " + plan.schedule : "",
                     fmt::join(types, "; "));
}

}  // namespace trellis::host
