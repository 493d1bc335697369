// trellis search RUN.yaml: finds a plan, checks it, prints it and writes it where --out says.
#include <fmt/format.h>

#include "host/ordinary_search.h"
#include "host/standalone_search.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

struct SearchArgs {
  std::filesystem::path run_file, out, json;
  std::vector<std::string> overrides;
  std::optional<int> devices;
};

ExitCode search_ordinarily(const Context& context, const SearchArgs& args) {
  const Planning p = Planning::load(context, args.run_file, args.overrides, args.devices);
  const std::string name = p.run.search.algorithm.use.empty() ? "dynamic_programming" : p.run.search.algorithm.use;
  const Found found = run_search(p, name);
  if (found.plan) print(p, found);
  const std::filesystem::path plan = found.plan ? args.out : std::filesystem::path();
  if (!plan.empty()) write_file_atomically(plan, to_yaml(*found.plan));
  if (!args.json.empty()) write_file_atomically(args.json, to_json(p, found, plan).dump(2) + "\n");
  if (!found.plan) throw nothing_fits(p);
  return ExitCode::success;
}

ExitCode search(const Context& context, const SearchArgs& args) {
  const Options document = Options::load_run_file(args.run_file, args.overrides);
  if (!is_standalone(context, document)) return search_ordinarily(context, args);
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
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  verb->add_option("--out", args->out, "Write the plan to FILE")->type_name("FILE");
  verb->add_option("--json", args->json, "Also write plan, costs and what was explored to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return search(context, *args); }; });
}

}  // namespace trellis::host
