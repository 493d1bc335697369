#include "host/ordinary_search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "host/check_answer.h"
#include "host/interruption.h"
#include "host/replayed.h"
#include "host/search_watch.h"
#include "host/utilization.h"
#include "plan/base/words.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

Prediction prediction_of(const Planning& p, const Plan& plan) {
  return predict(plan, p.model, p.dimensions, p.ops, p.run.train.dtype, p.cluster, p.profile);
}

// Two durations in seconds with as many digits as tell them apart: "4.4287 s", "4.4301 s".
std::pair<std::string, std::string> told_apart(double less, double more) {
  std::pair same{format(from_seconds(less)), format(from_seconds(more))};
  if (less >= more || same.first != same.second) return same;
  const auto [scale, unit] = more < 1e-3 ? std::pair(1e6, "us") : more < 1 ? std::pair(1e3, "ms") : std::pair(1.0, "s");
  for (int digits = 4; digits < 12; ++digits) {
    const auto shown = [&, scale = scale, unit = unit](double s) { return fmt::format("{:.{}g} {}", scale * s, digits, unit); };
    if (shown(less) != shown(more)) return {shown(less), shown(more)};
  }
  return same;
}

// What is certified of the answer, in words.
std::string certificate(const Planning& p, const Found& found) {
  const SearchLog& log = found.log;
  if (!log.lower_bound) return fmt::format("{}: whether a better plan exists this search does not say", log.status);
  const bool by_sample = is_by_sample(p.problem());
  const auto [bound, here] = told_apart(*log.lower_bound, found.reached);
  const std::string beside = by_sample || bound != here ? fmt::format("; this one takes {}", here) : "";
  return fmt::format("{}: no plan of the space is faster than {} a {} by this cost model{}", log.status, bound,
                     by_sample ? "sample" : "step", beside);
}

// What ends a long search, told once it is one.
std::string way_out(const std::string& name, const Options& options) {
  return name == "exact" && !options.has("limit") ? "Ctrl-C ends the search with it, search.limit={seconds: 30} after that time"
                                                      : "Ctrl-C ends the search with it";
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

void sign(const Planning& p, const std::string& name, Found& found) {
  const std::string version = p.catalog->manifest(PluginType::search, name).version;
  found.plan->made_by = {{"search", fmt::format("{} {}", name, version)},
                         {"model", fingerprint(p.model)},
                         {"cluster", p.cluster.name},
                         {"profile", p.profile ? p.profile->fingerprint() : "estimated"}};
  found.plan->predicted = Predicted{found.cost.step, found.cost.memory, found.cost.samples_per_second};
}

Found solve(const Planning& p, const Problem& problem, const CostOracle& oracle, const std::string& name,
            const Options& options, Progress progress, std::optional<Deadline> until) {
  const auto algorithm = load_search(p, name);
  Found found;
  if (progress == Progress::told) found.log.progress = [](const std::string& line) { log().info("{}", line); };
  found.log.stopped = [until] {
    return Interruption::came() || (until && std::chrono::steady_clock::now() >= *until);
  };
  std::optional<SearchWatch> watch;
  if (progress == Progress::told) {
    watch.emplace([](const std::string& line) { log().info("{}", line); }, way_out(name, options));
    found.log.known = [&](const SearchState& state) { watch->know(state); };
  }
  const auto start = std::chrono::steady_clock::now();
  found.plan = plugin::call(PluginType::search, name,
                            [&] { return algorithm->solve(problem, oracle, options, found.log); });
  found.log.known = SearchLog().known, found.log.stopped = SearchLog().stopped;
  watch.reset();
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  options.finish();  // a search that forgets to would let misspelt options pass
  if (found.plan)
    if (const std::string reason = refusal(problem, oracle, *found.plan, found.cost); !reason.empty())
      refuse_answer(name, "returned a plan that is no answer: " + reason);
  take_start_if_better(problem, oracle, found);
  if (found.plan)
    found.reached = is_by_sample(problem) ? found.score().seconds_per_sample() : to_seconds(found.cost.step);
  if (const std::string claim = false_claim(found.log, found.plan ? std::optional(found.reached) : std::nullopt);
      !claim.empty())
    refuse_answer(name, "claims what is not so: " + claim);
  if (Interruption::came() && !found.is_proven())
    found.log.notes["stopped"] = found.plan ? "before its end: the best plan so far" : "before a plan was found that fits";
  if (!found.plan) return found;
  sign(p, name, found);
  return found;
}

Found run_search(const Planning& p, const CostOracle& oracle, const std::string& name) {
  return solve(p, p.problem(), oracle, name, options_of(p, name));
}

// Micro-batches are of one size: what the batch does not fill is computed for nothing.
std::string padding_text(const Planning& p, const Plan& plan) {
  const std::int64_t size = compile(plan, p.model, p.dimensions, *p.ops, p.run.train.dtype).context.micro_batch;
  const std::int64_t padded = size * plan.micro_batches - plan.batch;
  return padded == 0 ? "" : fmt::format(" of {}, padded by {}", size, padded);
}

namespace {

// Of many stages the first, the last and the fullest; the others have what is between.
void print_memory(const Planning& p, const Found& found, const Prediction& predicted) {
  constexpr std::size_t kFew = 4;
  const std::vector<Bytes>& memory = found.cost.memory;
  const Problem budgets = budgets_of(p);
  const auto fullest = static_cast<std::size_t>(std::ranges::max_element(memory) - memory.begin());
  std::vector<Bytes> others;
  for (std::size_t s = 0; s < memory.size(); ++s) {
    if (memory.size() > kFew && s > 0 && s + 1 < memory.size() && s != fullest) {
      others.push_back(memory[s]);
      continue;
    }
    std::vector<std::string> parts;
    for (const auto& [purpose, bytes] : found.cost.purposes[s]) parts.push_back(fmt::format("{} {}", purpose, bytes));
    fmt::print("memory of stage {}: {} of {} ({}); replayed {} to {}\n", s, memory[s],
               budgets.stage_budget(choice_of(*found.plan), static_cast<int>(s)), fmt::join(parts, ", "),
               predicted.memory[s].low, predicted.memory[s].high);
  }
  if (!others.empty())
    fmt::print("memory of the other {} stages: {} to {}\n", others.size(), std::ranges::min(others), std::ranges::max(others));
}

}  // namespace

void print(const Planning& p, const Found& found, std::optional<Picoseconds> replayed) {
  const Plan& plan = *found.plan;
  fmt::print("{}\n{}", p.model.summary, plan_table(plan, p.model));
  std::vector<std::string> stages;
  for (const StageRange& s : plan.stages) stages.push_back(format(Range{s.first, s.last}));
  const bool one_order = std::ranges::adjacent_find(plan.atoms, std::ranges::not_equal_to()) == plan.atoms.end();
  fmt::print("{} of {} (layers {}){}, batch {} in {}{}{}\n", number_of(std::ssize(plan.stages), "stage"),
             number_of(plan.line().size(), "device"), fmt::join(stages, ", "),
             one_order ? "" : fmt::format(", atoms [{}]", fmt::join(plan.atoms, ", ")), plan.batch,
             number_of(plan.micro_batches, "micro-batch"), padding_text(p, plan),
             plan.stages.size() > 1 ? ", schedule " + plan.schedule : "");
  const Prediction predicted = prediction_of(p, plan);
  fmt::print("predicted: {}, {:.4g} samples/s\n", step_text(predicted), found.cost.samples_per_second);
  fmt::print("  {}\n", to_string(utilization_of(p, found.cost.samples_per_second)));
  if (const std::size_t estimated = estimates_of(p, plan).size(); p.profile && estimated > 0)
    fmt::print("  {} of this plan are estimated: {} was measured in other shapes or another dtype; trellis profile measures these\n",
               number_of(estimated, "time"), p.profile_file.string());
  if (replayed) fmt::print("replayed: {}\n", beside_prediction(*replayed, found.cost.step));
  fmt::print("{}\n", certificate(p, found));
  print_memory(p, found, predicted);
  fmt::print("budgets are what a margin of {:.3g} % leaves\n", 100 * p.margin());
  std::vector<std::string> counts;
  for (const auto& [what, count] : found.log.counts) counts.push_back(fmt::format("{} {}", what, count));
  fmt::print("explored: {}; {:.2f} s\n", fmt::join(counts, ", "), found.seconds);
  for (const auto& [what, note] : found.log.notes) fmt::print("{}: {}\n", what, note);
}

std::set<std::string> estimates_of(const Planning& p, const Plan& plan) {
  const auto prices = std::make_shared<const Prices>(p.cluster, p.profile, p.ops);  // which count what they are asked
  Oracle(p.model, p.dimensions, p.ops, p.run.train.dtype, prices).step(plan);
  return prices->estimated();
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
  add_utilization(json, found.plan ? std::optional(utilization_of(p, found.cost.samples_per_second)) : std::nullopt);
  json["budget_bytes"] = budget_json(p);
  json["notes"] = found.log.notes;
  return json;
}

}  // namespace trellis::host
