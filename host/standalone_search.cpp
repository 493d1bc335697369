#include "host/standalone_search.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "host/interruption.h"
#include "host/search_json.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

using Answers = std::map<std::string, StandaloneAnswer>;

const StandaloneSearch* standalone(const SearchAlgorithm& algorithm) {
  return static_cast<const StandaloneSearch*>(algorithm.extension(kStandaloneSearch));
}

bool feasible(const StandaloneAnswer& answer) { return answer.samples_per_second > 0; }

// The search's own answer goes to FILE, an answer with a name to FILE with that name before its extension.
std::filesystem::path plan_file(const std::filesystem::path& out, const std::string& name) {
  if (out.empty() || name.empty()) return out;
  std::filesystem::path file = out;
  file.replace_extension();
  return file += "." + name + out.extension().string();
}

nlohmann::json to_json(const StandaloneAnswer& answer, const std::filesystem::path& plan) {
  nlohmann::json json = host::to_json(SearchResult{.status = answer.status,
                                                   .feasible = feasible(answer),
                                                   .throughput = answer.samples_per_second,
                                                   .step = answer.step_seconds,
                                                   .plan = answer.plan ? plan : std::filesystem::path(),
                                                   .memory = answer.memory,
                                                   .lower_bound = answer.lower_bound,
                                                   .bounded = std::nullopt,
                                                   .explored = answer.explored,
                                                   .seconds = answer.seconds});
  json["notes"] = answer.values;
  if (answer.plan) json["plan_yaml"] = to_yaml(*answer.plan);
  if (!answer.document.empty()) json["document"] = answer.document;
  return json;
}

nlohmann::json to_json(const Answers& answers, const std::filesystem::path& out) {
  nlohmann::json json = to_json(answers.at(""), out);
  for (const auto& [name, answer] : answers)
    if (!name.empty()) json[name] = to_json(answer, plan_file(out, name));
  return json;
}

// Options that only other verbs or other searches read are no mistake, misspelt sections are.
void check_sections(const Options& document) {
  static const std::vector<std::string> known = {"name",  "seed",    "output",      "plugins", "model",  "data",
                                                 "train", "devices", "parallelism", "search",  "profile"};
  for (const std::string& key : document.keys())
    if (std::find(known.begin(), known.end(), key) == known.end())
      document.reject(key, "unknown section of a run file", suggestion_hint(key, known, "known"));
}

// A section that other searches plan by, and a reader may believe in.
void tell_ignored(const Options& document, const std::string& name) {
  std::vector<std::string> ignored;
  for (const char* section : {"model", "profile", "devices"})
    if (document.has(section)) ignored.push_back(section);
  if (!ignored.empty())
    log().warn("ignored: {} {}; search '{}' brings its own model and costs, all in section 'search'",
               ignored.size() == 1 ? "section" : "sections", fmt::join(ignored, ", "), name);
}

std::string name_of_search(const Options& document) {
  const Options section = document.section("search");
  return section.find<std::string>("use").value_or("");
}

}  // namespace

bool is_standalone(const Context& context, const Options& document) {
  if (!document.has("search")) return false;
  const std::string name = name_of_search(document);
  if (name.empty()) return false;
  const Options section = document.section("search");
  return standalone(*context.catalog(document).search(name, section.mark("use"), section.path("use"))) != nullptr;
}

ExitCode run_standalone(const Context& context, const Options& document, const StandaloneArgs& args) {
  check_sections(document);
  const std::string name = name_of_search(document);
  const Options section = document.section("search").with_owner(fmt::format("search '{}'", name));
  const Catalog catalog = context.catalog(document);
  const auto algorithm = catalog.search(name, section.mark("use"), section.path("use"));
  tell_ignored(document, name);
  SearchLog search_log;
  search_log.stopped = Interruption::came;
  search_log.progress = [](const std::string& line) { log().info("{}", line); };
  Answers answers = plugin::call(PluginType::search, name,
                                 [&] { return standalone(*algorithm)->solve(section, search_log); });
  section.finish();
  if (!answers.contains(""))
    throw Error(ExitCode::plugin, fmt::format("search '{}' returned no answer of its own", name));

  const std::string version = catalog.manifest(PluginType::search, name).version;
  for (auto& [which, answer] : answers) {
    for (const std::string& line : answer.lines) fmt::print("{}\n", line);
    if (!answer.plan) continue;
    answer.plan->made_by = {{"search", fmt::format("{} {}{}{}", name, version, which.empty() ? "" : ", ", which)}};
    answer.plan->predicted = Predicted{from_seconds(answer.step_seconds), answer.memory, answer.samples_per_second};
    if (!args.out.empty()) write_file_atomically(plan_file(args.out, which), to_yaml(*answer.plan));
  }
  if (!args.json.empty()) write_file_atomically(args.json, to_json(answers, args.out).dump(2) + "\n");
  if (!feasible(answers.at("")) && Interruption::came())
    throw Error(ExitCode::infeasible, "stopped before a plan was found that fits; whether there is one is not known",
                "give the search more time");
  if (!feasible(answers.at("")))
    throw Error(ExitCode::infeasible, fmt::format("no plan fits, says search '{}'", name),
                "allow more memory, more devices or a smaller batch");
  return ExitCode::success;
}

}  // namespace trellis::host
