// trellis train RUN.yaml: starts the ranks, or is one of them where a launcher (ours, torchrun) says so.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "data/samples/run_data.h"
#include "host/launcher.h"
#include "host/run_side.h"
#include "host/verbs.h"
#include "plan/run/compile_file.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"
#include "trellis/plan/run_file.h"
#include "trellis/run/train.h"

namespace trellis::host {
namespace {

constexpr int kMostRanks = 4;  // of --nproc auto: a desk machine stays usable

struct TrainArgs {
  std::filesystem::path run_file;
  std::vector<std::string> overrides;
  std::string ranks;  // a number, auto, or empty
  std::filesystem::path plan, json;
  bool quiet = false;
};

int cores() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

int number_of_ranks(const std::string& text) {
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error != std::errc() || end != text.data() + text.size() || ranks < 1)
    throw Error(ExitCode::usage, fmt::format("--nproc: expected a number of ranks or auto, found '{}'", text));
  return ranks;
}

// What --nproc says; else what the run file says; else what the plan was made for; else by the machine.
int ranks_to_start(const RunFile& run, const TrainArgs& args) {
  if (!args.ranks.empty() && args.ranks != "auto") return number_of_ranks(args.ranks);
  if (args.ranks.empty()) {
    if (run.devices.count) return *run.devices.count;
    if (!args.plan.empty()) return devices_of_plan(args.plan);
    if (!run.parallelism.plan.empty()) return devices_of_plan(run.parallelism.plan);
  }
  return std::min(kMostRanks, cores());
}

// What can be found wrong without LibTorch is told once, before there are ranks which would all tell it.
void check(const RunFile& run, const Catalog& catalog, const TrainArgs& args, int ranks) {
  if (!run.train.steps) run.document.section("train").reject("steps", "required, and not given");
  const Dimensions dimensions = catalog.dimensions();
  const ModelSpec model = describe_model(run, catalog);
  OpLibrary ops;
  catalog.load_ops(ops);
  compile_file(plan_of(run, model, dimensions, ranks, args.plan), model, dimensions, ops, run.train.dtype,
               args.plan.empty() ? run.parallelism.plan : args.plan);
  const std::vector<std::string> classes = data::check_data(run, model, ops);
  if (const auto weights = open_weights(run, model, catalog)) {
    for (const std::string& change : changes(*weights)) log().info("weights: {}", change);
    const std::string remark = compare_classes(run, weights.get(), classes);
    if (!remark.empty()) log().warn("weights: {}", remark);
  }
  check_export(run, model, catalog);
}

ExitCode train(const Context& context, const TrainArgs& args) {
  try_writing(args.json);
  if (!args.plan.empty()) refuse_parallelism("--plan", args.overrides);
  const RunFile run = RunFile::load(args.run_file, args.overrides);
  const Catalog catalog = context.catalog(run.document);
  if (!is_rank()) {
    const int ranks = ranks_to_start(run, args);
    check(run, catalog, args, ranks);
    if (ranks > 1) return static_cast<ExitCode>(launch_local(context.command, ranks));
  }
  TrainEntry* const entry = reinterpret_cast<TrainEntry*>(run_side_entry(kTrainEntry));
  entry({.run = run, .catalog = &catalog, .plan_file = args.plan, .json_file = args.json, .quiet = args.quiet});
  return ExitCode::success;
}

}  // namespace

void add_train_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<TrainArgs>();
  CLI::App* verb = app.add_subcommand("train", "Train a model by a run file, on local ranks or under torchrun.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->ranks,
                   "Local ranks to start; auto: one for each core, 4 at most. Default: devices.count, else the plan's "
                   "devices, else auto")
      ->type_name("N");
  verb->add_option("--plan", args->plan, "A plan file, instead of the run file's parallelism")->type_name("FILE");
  verb->add_option("--json", args->json, "Also write the result to FILE")->type_name("FILE");
  verb->add_flag("--quiet", args->quiet, "Write the run's files only, print nothing");
  verb->callback([&context, args] { context.work = [&context, args] { return train(context, *args); }; });
}

}  // namespace trellis::host
