#include "host/ordinary_search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "host/replayed.h"
#include "plan/base/words.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

// With several batches a bound is one of seconds a sample.
bool is_by_sample(const Problem& problem) {
  return std::ranges::any_of(problem.choices,
                             [&](const GlobalChoice& c) { return c.batch != problem.choices.front().batch; });
}

Prediction prediction_of(const Planning& p, const Plan& plan) {
  return predict(plan, p.model, p.dimensions, p.ops, p.run.train.dtype, p.cluster, p.profile);
}

// What is certified of the answer, in words.
std::string certificate(const Planning& p, const SearchLog& log) {
  if (!log.lower_bound) return fmt::format("{}: whether a better plan exists this search does not say", log.status);
  return fmt::format("{}: no plan of the space is faster than {} a {} by this cost model", log.status,
                     format(from_seconds(*log.lower_bound)),
                     is_by_sample(p.problem()) ? "sample" : "step");
}

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

// A plugin is not trusted with the space, nor with the budget: what keeps its plan from being an answer, or the cost.
std::string refusal(const Problem& problem, const CostOracle& oracle, const Plan& plan, PlanCost& cost) {
  try {
    if (std::string reason = wrong_stages(plan, static_cast<int>(problem.model->layers.size())); !reason.empty())
      return reason;
    if (plan.devices != problem.devices)
      return fmt::format("it is for {} devices, the problem has {}", plan.devices, problem.devices);
    if (std::string reason = objection(problem, plan, {}); !reason.empty()) return reason;
    cost = oracle.step(plan);
    return objection(problem, plan, cost);
  } catch (const Error& error) {
    return error.message();
  }
}

// Nor with what it proves: what keeps its claim from being true. `reached`: as log.lower_bound counts.
std::string false_claim(const SearchLog& log, const std::optional<double>& reached) {
  constexpr double kRounding = 1e-9;
  const bool is_proven = log.status.find("proven") != std::string::npos;
  if (log.lower_bound && !(std::isfinite(*log.lower_bound) && *log.lower_bound >= 0))
    return fmt::format("its lower bound is {} s", *log.lower_bound);
  if (!reached) return {};
  if (is_proven && !log.lower_bound) return fmt::format("its status is '{}', and it gives no lower bound", log.status);
  if (log.lower_bound && *log.lower_bound > *reached * (1 + kRounding))
    return fmt::format("its lower bound is {}, and a plan takes {}", format(from_seconds(*log.lower_bound)),
                       format(from_seconds(*reached)));
  return {};
}

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw Error(ExitCode::plugin, fmt::format("search '{}' {}", name, what),
              plugin::defect_hint(name));
}

// search.start_from is the answer where a search that does not know it finds nothing better.
void take_start_if_better(const Problem& problem, const CostOracle& oracle, Found& found) {
  const std::optional<Plan>& start = problem.start;
  if (!start) return;
  const PlanCost cost = oracle.step(*start);
  if (const std::string reason = objection(problem, *start, cost); !reason.empty()) {
    found.log.notes["start_from"] = "no answer itself: " + reason;
  } else if (!found.plan || score(*start, cost) < score(*found.plan, found.cost)) {
    found.plan = *start, found.cost = cost;
    found.log.notes["start_from"] = "nothing better was found";
  }
}

}  // namespace

std::string name_of_search(const Planning& p) {
  const std::string& name = p.run.search.algorithm.use;
  return name.empty() ? "exact" : name;
}

std::shared_ptr<const SearchAlgorithm> load_search(const Planning& p, const std::string& name) {
  const PluginChoice& choice = p.run.search.algorithm;
  if (name != choice.use) return p.catalog->search(name);
  return p.catalog->search(name, choice.options.mark("use"), choice.options.path("use"));
}

Oracle oracle_of(const Planning& p) { return Oracle(p.model, p.dimensions, p.ops, p.run.train.dtype, p.prices); }

Options options_of(const Planning& p, const std::string& name) {
  const std::string owner = fmt::format("search '{}'", name);
  return name == name_of_search(p) ? p.run.search.algorithm.options.with_owner(owner) : Options::empty(owner);
}

Found solve(const Planning& p, const Problem& problem, const CostOracle& oracle, const std::string& name,
            const Options& options, Progress progress) {
  const auto algorithm = load_search(p, name);
  Found found;
  if (progress == Progress::told) found.log.progress = [](const std::string& line) { log().info("{}", line); };
  const auto start = std::chrono::steady_clock::now();
  found.plan = plugin::call(PluginType::search, name,
                            [&] { return algorithm->solve(problem, oracle, options, found.log); });
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  options.finish();  // a search that forgets to would let misspelt options pass
  if (found.plan)
    if (const std::string reason = refusal(problem, oracle, *found.plan, found.cost); !reason.empty())
      refuse(name, "returned a plan that is no answer: " + reason);
  take_start_if_better(problem, oracle, found);
  if (found.plan)
    found.reached = is_by_sample(problem) ? found.score().seconds_per_sample() : to_seconds(found.cost.step);
  if (const std::string claim = false_claim(found.log, found.plan ? std::optional(found.reached) : std::nullopt);
      !claim.empty())
    refuse(name, "claims what is not so: " + claim);
  if (!found.plan) return found;
  const std::string version = p.catalog->manifest(PluginType::search, name).version;
  found.plan->made_by = {{"search", fmt::format("{} {}", name, version)},
                         {"model", fingerprint(p.model)},
                         {"cluster", p.cluster.name},
                         {"profile", p.profile ? p.profile->fingerprint() : "estimated"}};
  found.plan->predicted = Predicted{found.cost.step, found.cost.memory, found.cost.samples_per_second};
  return found;
}

Found run_search(const Planning& p, const std::string& name) {
  const Problem problem = p.problem();
  const Oracle oracle = oracle_of(p);
  return solve(p, problem, oracle, name, options_of(p, name));
}

// Micro-batches are of one size: what the batch does not fill is computed for nothing.
std::string padding_text(const Planning& p, const Plan& plan) {
  const std::int64_t size = compile(plan, p.model, p.dimensions, *p.ops, p.run.train.dtype).context.micro_batch;
  const std::int64_t padded = size * plan.micro_batches - plan.batch;
  return padded == 0 ? "" : fmt::format(" of {}, padded by {}", size, padded);
}

void print(const Planning& p, const Found& found, std::optional<Picoseconds> replayed) {
  const Plan& plan = *found.plan;
  fmt::print("{}\n{}", p.model.summary, plan_table(plan, p.model));
  std::vector<std::string> stages;
  for (const StageRange& s : plan.stages) stages.push_back(format(Range{s.first, s.last}));
  fmt::print("{} of {} (layers {}), atoms [{}], batch {} in {}{}, schedule {}\n",
             number_of(std::ssize(plan.stages), "stage"), number_of(plan.line().size(), "device"),
             fmt::join(stages, ", "), fmt::join(plan.atoms, ", "), plan.batch,
             number_of(plan.micro_batches, "micro-batch"), padding_text(p, plan), plan.schedule);
  const auto estimated = p.prices->estimated().size();
  const std::string tokens =
      p.objective() == Objective::tokens || p.model.vocab > 0
          ? fmt::format(", {:.0f} tokens/s", found.cost.samples_per_second * static_cast<double>(p.model.sequence))
          : "";
  const Prediction predicted = prediction_of(p, plan);
  fmt::print("predicted: {}, {:.4g} samples/s{}{}\n", step_text(predicted), found.cost.samples_per_second, tokens,
             p.profile && estimated > 0 ? fmt::format(" ({} times of the space estimated)", estimated) : "");
  if (replayed) fmt::print("replayed: {}\n", beside_prediction(*replayed, found.cost.step));
  fmt::print("{}\n", certificate(p, found.log));
  const Problem budgets = budgets_of(p);
  for (std::size_t s = 0; s < found.cost.memory.size(); ++s) {
    std::vector<std::string> parts;
    for (const auto& [purpose, bytes] : found.cost.purposes[s]) parts.push_back(fmt::format("{} {}", purpose, bytes));
    fmt::print("memory of stage {}: {} of {} ({}); replayed {} to {}\n", s, found.cost.memory[s],
               budgets.stage_budget(choice_of(plan), static_cast<int>(s)), fmt::join(parts, ", "), predicted.memory[s].low, predicted.memory[s].high);
  }
  fmt::print("budgets are what a margin of {:.3g} % leaves\n", 100 * p.margin());
  std::vector<std::string> counts;
  for (const auto& [what, count] : found.log.counts) counts.push_back(fmt::format("{} {}", what, count));
  fmt::print("explored: {}; {:.2f} s\n", fmt::join(counts, ", "), found.seconds);
  for (const auto& [what, note] : found.log.notes) fmt::print("{}: {}\n", what, note);
}

Problem budgets_of(const Planning& p) {
  Problem problem;
  problem.budget = p.budget(), problem.budgets = p.budgets();
  return problem;
}

namespace {

// After the margin: a number; a list where devices differ.
nlohmann::json budget_json(const Planning& p) {
  const std::vector<Bytes> each = p.budgets();
  if (each.empty()) return p.budget().value;
  nlohmann::json list = nlohmann::json::array();
  for (const Bytes budget : each) list.push_back(budget.value);
  return list;
}

}  // namespace

nlohmann::json to_json(const Planning& p, const Found& found, const std::filesystem::path& file) {
  SearchResult result{.status = found.plan || found.log.status != SearchLog().status ? found.log.status : "infeasible",
                      .feasible = found.plan.has_value(),
                      .throughput = found.cost.samples_per_second,
                      .step = to_seconds(found.cost.step),
                      .plan = file,
                      .memory = found.cost.memory,
                      .lower_bound = found.log.lower_bound,
                      .bounded = std::nullopt,
                      .explored = found.log.counts,
                      .seconds = found.seconds};
  if (found.plan) result.bounded = found.reached;
  nlohmann::json json = to_json(result);
  if (found.plan) json["plan_yaml"] = to_yaml(*found.plan);
  if (found.plan) add_intervals(json, prediction_of(p, *found.plan));
  for (const auto& purposes : found.cost.purposes) {
    nlohmann::json stage;
    for (const auto& [purpose, bytes] : purposes) stage[purpose] = bytes.value;
    json["memory_by_purpose"].push_back(stage);
  }
  json["objective"] = name_of(p.objective());
  json["tokens_per_second"] =
      found.plan && p.model.sequence > 0
          ? nlohmann::json(found.cost.samples_per_second * static_cast<double>(p.model.sequence))
          : nlohmann::json();
  json["budget_bytes"] = budget_json(p);
  json["notes"] = found.log.notes;
  json["estimated"] = p.prices->estimated();
  return json;
}

}  // namespace trellis::host
