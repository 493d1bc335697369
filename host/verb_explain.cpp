// trellis explain PLAN.yaml --run RUN.yaml: what a plan costs, and because of what.
#include <fmt/format.h>

#include "host/planning.h"

namespace trellis::host {
namespace {

struct ExplainArgs {
  std::filesystem::path plan, run_file;
  std::vector<std::string> overrides;
  std::optional<int> layer;
  bool program = false;
};

ExitCode explain_plan(const Context& context, const ExplainArgs& args) {
  const Options file = Options::from_file(args.plan);
  const Planning p = Planning::load(context, args.run_file, args.overrides, devices_of_plan(args.plan));
  const Plan plan = read_plan(file, p.dimensions, static_cast<int>(p.model.layers.size()));
  const CompiledPlan compiled = compile(plan, p.model, p.dimensions, *p.ops, p.run.train.dtype);
  fmt::print("{}\n{}\n", p.model.summary,
             explain(compiled, p.model, find_schedule(p.dimensions, plan.schedule), *p.prices, {.layer = args.layer, .program = args.program}));
  return ExitCode::success;
}

}  // namespace

void add_explain_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ExplainArgs>();
  CLI::App* verb = app.add_subcommand("explain", "Tell what a plan costs in time, memory and communication, and because of what.");
  verb->add_option("plan", args->plan, "The plan file")->required()->type_name("PLAN.yaml");
  verb->add_option("--run", args->run_file, "The run file that the plan is for")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--layer", args->layer, "This layer only")->type_name("N");
  verb->add_flag("--program", args->program, "Print the instruction lists, too");
  verb->callback([&context, args] { context.work = [&context, args] { return explain_plan(context, *args); }; });
}

}  // namespace trellis::host
