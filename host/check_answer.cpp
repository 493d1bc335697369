#include "host/check_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/plugin/calls.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis::host {
namespace {

// Stages follow one another and have all layers; nothing where they do.
std::string wrong_stages(const Plan& plan, int layers) {
  int next = 0;
  for (const StageRange& stage : plan.stages) {
    if (stage.first != next || stage.last < stage.first)
      return fmt::format("stages follow one another from layer 0 on; found one of layers {}-{} where layer {} is next",
                         stage.first, stage.last, next);
    next = stage.last + 1;
  }
  return next == layers ? "" : fmt::format("its stages have {} layers, the model has {}", next, layers);
}

// Placements say nothing of what no dimension has read.
std::string unknown_dimension(const Problem& problem, const Plan& plan) {
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    for (const auto& [name, setting] : plan.layers[i]) {
      const auto has_name = [&wanted = name](const auto& dimension) { return dimension->traits().name == wanted; };
      if (std::ranges::none_of(*problem.dimensions, has_name)) return fmt::format("layer {}: there is no dimension '{}'", i, name);
    }
  return {};
}

}  // namespace

bool is_by_sample(const Problem& problem) {
  return std::ranges::any_of(problem.choices,
                             [&](const GlobalChoice& c) { return c.batch != problem.choices.front().batch; });
}

std::string refusal(const Problem& problem, const CostOracle& oracle, const Plan& plan, PlanCost& cost) {
  try {
    if (std::string reason = wrong_stages(plan, static_cast<int>(problem.model->layers.size())); !reason.empty())
      return reason;
    if (plan.devices != problem.devices)
      return fmt::format("it is for {} devices, the problem has {}", plan.devices, problem.devices);
    if (std::string reason = objection(problem, plan, {}); !reason.empty()) return reason;
    if (std::string reason = unknown_dimension(problem, plan); !reason.empty()) return reason;
    read_plan(Options::from_text(to_yaml(plan), "its plan"), *problem.dimensions, static_cast<int>(plan.layers.size()));
    cost = oracle.step(plan);
    return objection(problem, plan, cost);
  } catch (const Error& error) {
    return error.message();
  }
}

std::string false_claim(const SearchLog& log, const std::optional<double>& reached) {
  constexpr double kRounding = 1e-9;
  const bool is_proven = log.status.find("proven") != std::string::npos;
  if (std::ranges::any_of(log.status, [](char c) { return static_cast<unsigned char>(c) < ' '; }))
    return "its status is not one line of text";
  if (log.lower_bound && !(std::isfinite(*log.lower_bound) && *log.lower_bound >= 0))
    return fmt::format("its lower bound is {} s", *log.lower_bound);
  if (!reached) return {};
  if (is_proven && !log.lower_bound) return fmt::format("its status is '{}', and it gives no lower bound", log.status);
  if (log.lower_bound && *log.lower_bound > *reached * (1 + kRounding))
    return fmt::format("its lower bound is {}, and a plan takes {}", format(from_seconds(*log.lower_bound)),
                       format(from_seconds(*reached)));
  constexpr double kNoGap = 1e-6;
  if (log.status == "optimal, proven" && *log.lower_bound < *reached * (1 - kNoGap))
    return fmt::format("its status is '{}', and its lower bound is {} where its plan takes {}", log.status,
                       format(from_seconds(*log.lower_bound)), format(from_seconds(*reached)));
  return {};
}

void refuse_answer(const std::string& name, const std::string& what) {
  throw Error(ExitCode::plugin, fmt::format("search '{}' {}", name, what),
              plugin::defect_hint(name));
}

}  // namespace trellis::host
