// Where nothing fits: what is missing, and what would fit.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "host/asking.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

constexpr double kSeconds = 9;  // of all questions, where the run file has no limit
// Beyond the limit, of which as much is left where the search had no plan at its end: a share of it, and the least.
constexpr double kShareBeyond = 0.25, kLeastBeyond = 0.5;
constexpr double kQuestions = 3;     // budget, batch, devices
constexpr double kSolves = 4;        // that a question has the time for
constexpr int kMostTimesTheDevices = 64;

// search.budget, in whole MiB, so that it can be typed.
std::string in_mib(const Planning& p, Bytes after_margin) {
  constexpr std::int64_t kMiB = 1 << 20;
  return fmt::format("{}MiB", (whole_budget(p, after_margin).value + kMiB - 1) / kMiB);
}

std::string budget_that_fits(const Planning& p, const Infeasible& found) {
  const Bytes more = found.shortage->lacks;
  if (found.budgets.empty()) return in_mib(p, found.budget + more);
  std::vector<std::string> ranges;
  for (std::size_t first = 0, last; first < found.budgets.size(); first = last + 1) {
    for (last = first; last + 1 < found.budgets.size() && found.budgets[last + 1] == found.budgets[first];) ++last;
    const Range devices{static_cast<std::int64_t>(first), static_cast<std::int64_t>(last)};
    ranges.push_back(fmt::format("{}: {}", format(devices), in_mib(p, found.budgets[first] + more)));
  }
  return fmt::format("{{{}}}", fmt::join(ranges, ", "));
}

// "75.0 GiB a device", "37.5 GiB to 75.0 GiB a device"
std::string in_words(const Infeasible& found) {
  if (found.budgets.empty()) return fmt::format("{} a device", found.budget);
  return fmt::format("{} to {} a device", found.budget, *std::ranges::max_element(found.budgets));
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
  others.with_devices = [&p, space](int devices) -> std::optional<Problem> {
    if (!space.budgets.empty()) return std::nullopt;  // what further devices would have is not known
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

// Which layer cannot be placed under any choice, and why; empty where each can. Memory has no part in it.
std::string layer_without_candidates(const Planning& p) {
  const Problem problem = p.problem();
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    const auto has_some = [&](const GlobalChoice& c) { return !problem.candidates(static_cast<int>(i), c).empty(); };
    if (problem.choices.empty() || std::ranges::any_of(problem.choices, has_some)) continue;
    const LayerSpec& layer = *p.model.layers[i];
    const Placed off = place({}, layer, {problem.choices.front().atoms}, p.dimensions);
    return fmt::format("layer {} ({}) has no candidate under any choice{}{}", i, layer.type,
                       off.placement ? "" : ": ", off.reason);
  }
  return {};
}

// For all questions together: what the search left of search.limit. Nothing where that is one of labels: then the
// answer is the same on every machine.
std::optional<double> seconds_for_questions(const Planning& p, const Found& found) {
  const Options own = options_of(p, "exact");
  if (!own.has("limit")) return kSeconds;
  const auto limit = own.section("limit").find<double>("seconds");
  if (!limit) return std::nullopt;
  return std::max(0.0, *limit - found.seconds) + std::max(kLeastBeyond, kShareBeyond * *limit);
}

Answer priced(const CostOracle& oracle, Plan plan) {
  Answer answer;
  answer.cost = oracle.step(plan);
  plan.predicted = Predicted{answer.cost.step, answer.cost.memory, answer.cost.samples_per_second};
  answer.plan = std::move(plan);
  return answer;
}

Deadline::duration in_ticks(double seconds) {
  return std::chrono::duration_cast<Deadline::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

Infeasible infeasible(const Planning& p, const CostOracle& oracle, const Found& found) {
  const Deadline now = std::chrono::steady_clock::now();
  const Problem problem = p.problem();
  const MemoryOnly memory(oracle);
  const std::optional<double> seconds = seconds_for_questions(p, found);
  const double each = seconds.value_or(std::numeric_limits<double>::infinity()) / kQuestions;
  const Solver solver = seconds ? solver_within(p, memory, each / kSolves, now + in_ticks(*seconds), Progress::silent)
                                : solver_of(p, memory, "exact", each, Progress::silent);
  log().info("{}; looking for what would", found.is_proven() ? "no plan fits" : "no plan that fits was found");
  Infeasible result{.budget = problem.budget,
                    .budgets = problem.budgets,
                    .is_proven = found.is_proven(),
                    .shortage = {},
                    .missed = {}};
  if (!result.is_proven) {
    const Answer answer = solver(problem);
    if (answer.plan) {
      result.missed = priced(oracle, *answer.plan);
      return result;
    }
    result.is_proven = answer.is_proven();
  }
  result.shortage = shortage(problem, oracle, solver, others_of(p), each);
  if (result.shortage && result.shortage->lacks <= Bytes{0}) {
    result.missed = priced(oracle, result.shortage->plan);
    result.shortage.reset(), result.is_proven = false;
  }
  return result;
}

Error to_error(const Planning& p, const Infeasible& found) {
  if (found.missed)
    return Error(ExitCode::infeasible,
                 fmt::format("search '{}' found no plan that fits in {}, but there is one", name_of_search(p),
                             in_words(found)),
                 fmt::format("{}; one of {} a step: {}",
                             name_of_search(p) == "exact" ? "raise search.limit" : "search.use=exact finds one",
                             found.missed->cost.step, in_words(*found.missed->plan, p.model)));
  const std::string title =
      found.is_proven
          ? fmt::format("no plan fits in {}, proven", in_words(found))
          : fmt::format("no plan was found that fits in {}; that there is none is not proven", in_words(found));
  if (!found.shortage)
    if (const std::string layer = layer_without_candidates(p); !layer.empty())
      return Error(ExitCode::infeasible, "no plan: " + layer, "look at the model, the dimensions and the devices");
  if (!found.shortage)
    return Error(ExitCode::infeasible, title,
                 "none was found for any memory: look at search.fix, search.forbid and the batch");
  const Shortage& s = *found.shortage;
  std::vector<std::string> ways = {
      fmt::format("search.budget={}{}", budget_that_fits(p, found), s.is_least ? "" : " or less")};
  if (s.batch) ways.push_back(fmt::format("a batch of {}", *s.batch));
  if (s.devices) ways.push_back(fmt::format("{} devices", *s.devices));
  return Error(ExitCode::infeasible,
               fmt::format("{}; stage {} lacks {}{}", title, s.stage, s.lacks,
                           s.is_least ? " at the least" : " in the smallest plan that was found"),
               fmt::format("that plan: {}; stage {} of {}: {}\n    what fits: {}{}", in_words(s.plan, p.model), s.stage,
                           s.needs, parts_of(s.cost.purposes[static_cast<std::size_t>(s.stage)]),
                           fmt::join(ways, ", or "), s.batch ? "" : "; with a smaller batch no plan was seen to fit"));
}

namespace {

// The budget with so much more, a number; of each device where they differ.
nlohmann::json of_each(const Infeasible& found, Bytes more, const std::function<Bytes(Bytes)>& shown) {
  const auto one = [&](Bytes budget) { return (shown ? shown(budget + more) : budget + more).value; };
  if (found.budgets.empty()) return one(found.budget);
  nlohmann::json list = nlohmann::json::array();
  for (const Bytes budget : found.budgets) list.push_back(one(budget));
  return list;
}

}  // namespace

nlohmann::json to_json(const Planning& p, const Infeasible& found) {
  nlohmann::json json;
  json["budget_bytes"] = of_each(found, {}, {});
  json["proven"] = found.is_proven;
  if (found.missed)
    json["missed"] = {{"step_s", to_seconds(found.missed->cost.step)}, {"plan_yaml", to_yaml(*found.missed->plan)}};
  if (!found.shortage) return json;
  const Shortage& s = *found.shortage;
  json["stage"] = s.stage;
  json["lacks_bytes"] = s.lacks.value;
  json["needs_bytes"] = s.needs.value;
  json["needs_by_purpose"] = nlohmann::json::object();
  for (const auto& [purpose, bytes] : s.cost.purposes[static_cast<std::size_t>(s.stage)])
    json["needs_by_purpose"][purpose] = bytes.value;
  json["is_least"] = s.is_least;
  json["nothing_fits_in_bytes"] = of_each(found, s.vain, {});
  json["plan_yaml"] = to_yaml(s.plan);
  const auto whole = [&](Bytes budget) { return whole_budget(p, budget); };
  json["nearest"] = {{"search_budget_bytes", of_each(found, s.lacks, whole)},
                     {"batch", s.batch ? nlohmann::json(*s.batch) : nlohmann::json()},
                     {"devices", s.devices ? nlohmann::json(*s.devices) : nlohmann::json()}};
  return json;
}

}  // namespace trellis::host
