// trellis search RUN.yaml: finds a plan, checks it, prints it and writes it where --out says.
#include <fmt/format.h>

#include "host/compare_searches.h"
#include "host/ordinary_search.h"
#include "host/standalone_search.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

struct SearchArgs {
  std::filesystem::path run_file, out, json;
  std::vector<std::string> overrides;
  std::vector<std::string> compare;
  std::optional<int> devices;
};

ExitCode search_ordinarily(const Context& context, const SearchArgs& args) {
  const Planning p = Planning::load(context, args.run_file, args.overrides, args.devices);
  std::vector<Compared> compared;
  if (!args.compare.empty()) compared = compare_searches(p, args.compare);
  const Found found = args.compare.empty() ? run_search(p, name_of_search(p)) : best_of(compared);
  if (found.plan) print(p, found);
  if (!compared.empty()) print(p, compared);
  const std::filesystem::path plan = found.plan ? args.out : std::filesystem::path();
  if (!plan.empty()) write_file_atomically(plan, to_yaml(*found.plan));
  if (!args.json.empty()) {
    nlohmann::json json = to_json(p, found, plan);
    for (const Compared& one : compared) json["compare"].push_back(to_json(p, one));
    write_file_atomically(args.json, json.dump(2) + "\n");
  }
  if (!found.plan) throw nothing_fits(p, found);
  return ExitCode::success;
}

ExitCode search(const Context& context, const SearchArgs& args) {
  try_writing(args.out), try_writing(args.json);
  const Options document = Options::load_run_file(args.run_file, args.overrides);
  if (!is_standalone(context, document)) return search_ordinarily(context, args);
  if (!args.compare.empty())
    throw Error(ExitCode::usage, "--compare is for searches over the model and costs of a run file",
                "this search brings its own");
  if (args.devices)
    throw Error(ExitCode::usage, "--nproc is for searches over the devices of this run",
                "this search brings its own costs: say how many devices in section 'search'");
  return run_standalone(context, document, {.out = args.out, .json = args.json});
}

}  // namespace

void add_search_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<SearchArgs>();
  CLI::App* verb = app.add_subcommand("search", "Find the plan with the shortest step that fits in memory.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->devices, "Devices to plan for. Default: devices.count, else the cores, 4 at most")
      ->check(at_least_one())
      ->type_name("N");
  verb->add_option("--out", args->out, "Write the plan to FILE")->type_name("FILE");
  verb->add_option("--compare", args->compare,
                   "Run these searches on the same problem and print what each finds; the best plan is the answer. "
                   "Own options in section search are those of search.use alone")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME,NAME...");
  verb->add_option("--json", args->json, "Also write plan, costs and what was explored to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return search(context, *args); }; });
}

}  // namespace trellis::host
