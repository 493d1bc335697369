// Where nothing fits: what is missing, and what would fit.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/asking.h"

namespace trellis::host {
namespace {

constexpr double kSecondsASolve = 0.5;
constexpr double kSeconds = 3;  // for each of budget, batch and devices
constexpr int kMostTimesTheDevices = 64;

// In whole MiB, so that it can be typed.
Bytes budget_that_fits(const Planning& p, Bytes needs) {
  constexpr std::int64_t kMiB = 1 << 20;
  const std::int64_t whole = whole_budget(p, needs).value;
  return Bytes{(whole + kMiB - 1) / kMiB * kMiB};
}

std::optional<Problem> with(const Planning& p, SpaceOptions space) {
  space.start.reset();
  const std::int64_t batch = space.batches.back();
  std::erase_if(space.micro_batches, [&](int m) { return m > batch; });
  if (space.micro_batches.empty() && !p.run.search.micro_batches.empty()) return std::nullopt;
  try {
    return make_problem(p.model, p.dimensions, space);
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input) throw;
    return std::nullopt;  // pins or numbers of stages that this space has no room for
  }
}

OtherProblems others_of(const Planning& p) {
  const SpaceOptions space = p.space();
  OtherProblems others;
  others.with_batch = [&p, space](std::int64_t batch) {
    SpaceOptions other = space;
    other.batch = batch, other.batches = {batch};
    return with(p, other);
  };
  others.with_devices = [&p, space](int devices) {
    SpaceOptions other = space;
    other.devices = devices;
    other.devices_in_node = std::min(p.cluster.devices_per_node, devices);
    return with(p, other);
  };
  others.most_devices = p.devices * kMostTimesTheDevices;
  return others;
}

std::string parts_of(const std::map<std::string, Bytes>& purposes) {
  std::vector<std::string> parts;
  for (const auto& [purpose, bytes] : purposes) parts.push_back(fmt::format("{} {}", purpose, bytes));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

Infeasible infeasible(const Planning& p, const Found& found) {
  const Problem problem = p.problem();
  const Oracle oracle = oracle_of(p);
  const MemoryOnly memory(oracle);
  const Solver solver = solver_of(p, memory, "exact", kSecondsASolve);
  Infeasible result{.budget = problem.budget, .is_proven = found.is_proven(), .shortage = {}, .missed = {}};
  if (!result.is_proven) {
    Answer answer = solver(problem);
    if (answer.plan) {
      answer.cost = oracle.step(*answer.plan);
      answer.plan->predicted = Predicted{answer.cost.step, answer.cost.memory, answer.cost.samples_per_second};
      result.missed = std::move(answer);
      return result;
    }
    result.is_proven = answer.is_proven();
  }
  result.shortage = shortage(problem, oracle, solver, others_of(p), kSeconds);
  return result;
}

Error to_error(const Planning& p, const Infeasible& found) {
  if (found.missed)
    return Error(ExitCode::infeasible,
                 fmt::format("search '{}' found no plan that fits in {} a device, but there is one", name_of_search(p),
                             found.budget),
                 fmt::format("{}; one of {} a step: {}",
                             name_of_search(p) == "exact" ? "raise search.limit" : "search.use=exact finds one",
                             found.missed->cost.step, in_words(*found.missed->plan, p.model)));
  const std::string title =
      found.is_proven
          ? fmt::format("no plan fits in {} a device, proven", found.budget)
          : fmt::format("no plan was found that fits in {} a device; that there is none is not proven", found.budget);
  if (!found.shortage)
    return Error(ExitCode::infeasible, title,
                 "none was found for any memory: look at search.fix, search.forbid and the batch");
  const Shortage& s = *found.shortage;
  std::vector<std::string> ways = {fmt::format("search.budget={}MiB", budget_that_fits(p, s.needs).value >> 20)};
  if (s.batch) ways.push_back(fmt::format("a batch of {}", *s.batch));
  if (s.devices) ways.push_back(fmt::format("{} devices", *s.devices));
  return Error(ExitCode::infeasible,
               fmt::format("{}; stage {} lacks {}{}", title, s.stage, s.needs - found.budget,
                           s.is_least ? " at the least" : " in the smallest plan that was found"),
               fmt::format("that plan: {}; stage {} of {}: {}\n    what fits: {}{}", in_words(s.plan, p.model), s.stage,
                           s.needs, parts_of(s.cost.purposes[static_cast<std::size_t>(s.stage)]),
                           fmt::join(ways, ", or "), s.batch ? "" : "; no smaller batch was seen to"));
}

nlohmann::json to_json(const Planning& p, const Infeasible& found) {
  nlohmann::json json;
  json["budget_bytes"] = found.budget.value;
  json["proven"] = found.is_proven;
  if (found.missed)
    json["missed"] = {{"step_s", to_seconds(found.missed->cost.step)}, {"plan_yaml", to_yaml(*found.missed->plan)}};
  if (!found.shortage) return json;
  const Shortage& s = *found.shortage;
  json["stage"] = s.stage;
  json["lacks_bytes"] = (s.needs - found.budget).value;
  json["needs_bytes"] = s.needs.value;
  json["needs_by_purpose"] = nlohmann::json::object();
  for (const auto& [purpose, bytes] : s.cost.purposes[static_cast<std::size_t>(s.stage)])
    json["needs_by_purpose"][purpose] = bytes.value;
  json["is_least"] = s.is_least;
  json["nothing_fits_in_bytes"] = s.nothing_in.value;
  json["plan_yaml"] = to_yaml(s.plan);
  json["nearest"] = {{"search_budget_bytes", whole_budget(p, s.needs).value},
                     {"batch", s.batch ? nlohmann::json(*s.batch) : nlohmann::json()},
                     {"devices", s.devices ? nlohmann::json(*s.devices) : nlohmann::json()}};
  return json;
}

}  // namespace trellis::host
