// trellis plan import FILE, trellis plan export PLAN.yaml: plans of other systems, through the search plugin that knows
// their format.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/verbs.h"
#include "plan/plan/open_plan.h"
#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"

namespace trellis::host {
namespace {

struct PlanArgs {
  std::filesystem::path file, out, json;
  std::string format;
};

const PlanFormat* format_of(const SearchAlgorithm& algorithm) {
  return static_cast<const PlanFormat*>(algorithm.extension(kPlanFormat));
}

// The search plugins are loaded to see which of them know a format.
std::shared_ptr<const SearchAlgorithm> find_format(const Catalog& catalog, const std::string& name) {
  std::vector<std::string> known;
  for (const std::string& search : catalog.names(PluginType::search)) {
    const auto algorithm = catalog.search(search);
    if (!format_of(*algorithm)) continue;
    if (search == name) return algorithm;
    known.push_back(search);
  }
  throw Error(ExitCode::usage, fmt::format("no plugin knows a plan format '{}'", name),
              suggestion_hint(name, known, "formats"));
}

void report(const PlanArgs& args, const std::vector<std::string>& lost) {
  fmt::print("wrote {}\n", args.out.string());
  for (const std::string& line : lost) fmt::print("lost: {}\n", line);
  if (args.json.empty()) return;
  const nlohmann::json json = {{"file", args.out.string()}, {"lost", lost}};
  write_file_atomically(args.json, json.dump(2) + "\n");
}

ExitCode import_plan(const Context& context, const PlanArgs& args) {
  try_writing(args.out), try_writing(args.json);
  const auto algorithm = find_format(context.catalog(), args.format);
  PlanFormat::Imported imported = format_of(*algorithm)->read(read_file(args.file), args.file.string());
  imported.plan.made_by["imported"] = fmt::format("{} ({})", args.file.filename().string(), args.format);
  write_file_atomically(args.out, to_yaml(imported.plan));
  report(args, imported.lost);
  return ExitCode::success;
}

ExitCode export_plan(const Context& context, const PlanArgs& args) {
  try_writing(args.out), try_writing(args.json);
  const Catalog catalog = context.catalog();
  const auto algorithm = find_format(catalog, args.format);
  const Plan plan = read_plan(open_plan(args.file), catalog.dimensions(), layers_of_plan(args.file));
  const PlanFormat::Exported exported = format_of(*algorithm)->write(plan);
  write_file_atomically(args.out, exported.text);
  report(args, exported.lost);
  return ExitCode::success;
}

using Work = ExitCode (*)(const Context&, const PlanArgs&);

void add(CLI::App& plan, Context& context, const char* name, const char* what, const char* file, Work work) {
  auto args = std::make_shared<PlanArgs>();
  CLI::App* verb = plan.add_subcommand(name, what);
  verb->add_option("file", args->file, "The plan to read")->required()->type_name(file);
  verb->add_option("--format", args->format, "The other system's format, named as the search plugin that knows it")
      ->required()
      ->type_name("NAME");
  verb->add_option("--out", args->out, "The file to write")->required()->type_name("FILE");
  verb->add_option("--json", args->json, "Also write what one side cannot express to FILE")->type_name("FILE");
  verb->callback([&context, args, work] { context.work = [&context, args, work] { return work(context, *args); }; });
}

}  // namespace

void add_plan_verb(CLI::App& app, Context& context) {
  CLI::App* plan = app.add_subcommand("plan", "Carry plans to and from other systems.");
  plan->require_subcommand(1);
  add(*plan, context, "import", "Make a Trellis plan of another system's plan.", "FILE", import_plan);
  add(*plan, context, "export", "Write a Trellis plan in another system's format.", "PLAN.yaml", export_plan);
}

}  // namespace trellis::host
