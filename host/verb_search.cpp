// trellis search RUN.yaml: finds a plan, checks it, prints it and writes it where --out says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "host/planning.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

struct SearchArgs {
  std::filesystem::path run_file, out, json;
  std::vector<std::string> overrides;
  std::optional<int> devices;
};

struct Found {
  Plan plan;
  PlanCost cost;
  SearchLog log;
  double seconds = 0;
};

[[noreturn]] void nothing_fits(const Problem& problem, const CostOracle& oracle, Bytes budget) {
  const auto least = least_memory(problem, oracle);
  std::string hint = "raise search.budget or devices.memory, use more devices, or a smaller batch";
  if (least && least->budget > budget)
    hint = fmt::format(
        "the nearest budget at which a plan was seen to fit is {}MiB a device ({} stages, {} micro-batches, '{}'); {}",
        (least->budget.value >> 20) + 1, least->plan.stages.size(), least->plan.micro_batches,
        to_string(least->plan.layers.back()), hint);
  throw Error(ExitCode::infeasible, fmt::format("no plan fits in {} a device", budget), hint);
}

Found run_search(const Planning& p, const std::string& name) {
  const PluginChoice& choice = p.run.search.algorithm;
  const auto algorithm = p.catalog->search(name, choice.options.mark("use"), choice.options.path("use"));
  const Problem problem = p.problem();
  const Oracle oracle(p.model, p.dimensions, p.ops, p.run.train.dtype, p.prices);
  Found found;
  found.log.progress = [](const std::string& line) { log().info("{}", line); };
  const auto start = std::chrono::steady_clock::now();
  std::optional<Plan> plan =
      algorithm->solve(problem, oracle, choice.options.with_owner(fmt::format("search '{}'", name)), found.log);
  found.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!plan) nothing_fits(problem, oracle, problem.budget);
  found.plan = std::move(*plan);
  found.cost = oracle.step(found.plan);
  // A plugin is not trusted with the budget, nor with the space.
  if (const std::string reason = objection(problem, found.plan, found.cost); !reason.empty())
    throw Error(ExitCode::plugin, fmt::format("search '{}' returned a plan that is no answer: {}", name, reason));
  const std::string version = p.catalog->manifest(PluginType::search, name).version;
  found.plan.made_by = {{"search", fmt::format("{} {}", name, version)},
                        {"model", fingerprint(p.model)},
                        {"cluster", p.cluster.name},
                        {"profile", p.profile ? p.profile->fingerprint() : "estimated"}};
  found.plan.predicted = Predicted{found.cost.step, found.cost.memory, found.cost.samples_per_second};
  return found;
}

void print(const Planning& p, const Found& found) {
  const Plan& plan = found.plan;
  fmt::print("{}\n{}", p.model.summary, plan_table(plan, p.model));
  std::vector<std::string> stages;
  for (const StageRange& s : plan.stages) stages.push_back(format(Range{s.first, s.last}));
  fmt::print("{} stages of {} devices (layers {}), atoms [{}], batch {} in {} micro-batches, schedule {}\n",
             plan.stages.size(), plan.line().size(), fmt::join(stages, ", "), fmt::join(plan.atoms, ", "), plan.batch,
             plan.micro_batches, plan.schedule);
  const auto estimated = p.prices->estimated().size();
  fmt::print("predicted: {} a step, {:.4g} samples/s{}\n", found.cost.step, found.cost.samples_per_second,
             !p.profile      ? " (estimated: nothing was profiled)"
             : estimated > 0 ? fmt::format(" ({} times estimated)", estimated)
                             : "");
  for (std::size_t s = 0; s < found.cost.memory.size(); ++s) {
    std::vector<std::string> parts;
    for (const auto& [purpose, bytes] : found.cost.purposes[s]) parts.push_back(fmt::format("{} {}", purpose, bytes));
    fmt::print("memory of stage {}: {} ({})\n", s, found.cost.memory[s], fmt::join(parts, ", "));
  }
  std::vector<std::string> counts;
  for (const auto& [what, count] : found.log.counts) counts.push_back(fmt::format("{} {}", what, count));
  fmt::print("explored: {}; {:.2f} s\n", fmt::join(counts, ", "), found.seconds);
  for (const auto& [what, note] : found.log.notes) fmt::print("{}: {}\n", what, note);
}

std::string to_json(const Planning& p, const Found& found, const std::filesystem::path& file) {
  nlohmann::json json;
  json["plan"] = file.empty() ? nlohmann::json() : nlohmann::json(file.string());
  json["plan_yaml"] = to_yaml(found.plan);
  json["step_seconds"] = to_seconds(found.cost.step);
  json["samples_per_second"] = found.cost.samples_per_second;
  for (const Bytes bytes : found.cost.memory) json["memory_bytes"].push_back(bytes.value);
  for (const auto& purposes : found.cost.purposes) {
    nlohmann::json stage;
    for (const auto& [purpose, bytes] : purposes) stage[purpose] = bytes.value;
    json["memory_by_purpose"].push_back(stage);
  }
  json["budget_bytes"] = p.space().budget.value;
  json["explored"] = found.log.counts;
  json["notes"] = found.log.notes;
  json["search_seconds"] = found.seconds;
  json["estimated"] = p.prices->estimated();
  return json.dump(2) + "\n";
}

ExitCode search(const Context& context, const SearchArgs& args) {
  const Planning p = Planning::load(context, args.run_file, args.overrides, args.devices);
  const std::string name = p.run.search.algorithm.use.empty() ? "dynamic_programming" : p.run.search.algorithm.use;
  const Found found = run_search(p, name);
  print(p, found);
  if (!args.out.empty()) write_file_atomically(args.out, to_yaml(found.plan));
  if (!args.json.empty()) write_file_atomically(args.json, to_json(p, found, args.out));
  return ExitCode::success;
}

}  // namespace

void add_search_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<SearchArgs>();
  CLI::App* verb = app.add_subcommand("search", "Find the plan with the shortest step that fits in memory.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->devices, "Devices to plan for. Default: devices.count, else the cores, 4 at most")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  verb->add_option("--out", args->out, "Write the plan to FILE")->type_name("FILE");
  verb->add_option("--json", args->json, "Also write plan, costs and what was explored to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return search(context, *args); }; });
}

}  // namespace trellis::host
