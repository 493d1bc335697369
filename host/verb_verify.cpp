// trellis verify RUN.yaml: does a plan, any plan, train like one device?
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/samples/suits.h"
#include "host/launcher.h"
#include "host/run_side.h"
#include "host/verbs.h"
#include "run/verify/request.h"
#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"

namespace trellis::host {
namespace {

struct VerifyArgs {
  std::filesystem::path run_file;
  std::vector<std::string> overrides;
  int plans = -1, first = 0;
  std::optional<int> ranks;
  std::uint64_t seed = 1;
  std::filesystem::path plan, json;
  bool full = false, processes = false, gloo = false;
  std::string dtype;
};

constexpr int kUsualPlans = 20, kUsualRanks = 8;

std::optional<Dtype> read_dtype(const std::string& text) {
  if (text.empty()) return std::nullopt;
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16})
    if (text == name_of(dtype)) return dtype;
  throw Error(ExitCode::usage, fmt::format("--dtype: there is no '{}'", text), "one of f64, f32, bf16");
}

VerifyRequest request_of(const VerifyArgs& args, const RunFile& run, const Catalog& catalog) {
  VerifyRequest request{.run = run, .catalog = &catalog};
  request.plans = args.plans >= 0 ? args.plans : args.plan.empty() ? kUsualPlans : 0;
  request.first = args.first;
  request.ranks = args.ranks.value_or(kUsualRanks);
  request.seed = args.seed;
  request.plan_file = args.plan;
  request.full = args.full;
  request.dtype = read_dtype(args.dtype);
  if (!request.dtype && !args.plan.empty()) request.dtype = run.train.dtype;
  request.as_rank = is_rank();
  request.gloo = args.gloo;
  request.json_file = args.json;
  return request;
}

// Of the processes to be started: one world has one size.
int ranks_of(const VerifyArgs& args) {
  return args.plan.empty() ? args.ranks.value_or(kUsualRanks) : devices_of_plan(args.plan);
}

void check_ranks(const VerifyArgs& args) {
  if (args.ranks && *args.ranks < 1)
    throw Error(ExitCode::usage, fmt::format("--ranks: expected at least 1, found {}", *args.ranks));
  if (args.plan.empty()) return;
  const int devices = devices_of_plan(args.plan), ranks = args.ranks.value_or(kUsualRanks);
  if (args.processes && args.plans > 0 && devices != ranks)
    throw Error(ExitCode::usage, fmt::format("--processes: the plan is for {} devices, --ranks says {}", devices, ranks),
                fmt::format("--ranks {}, or leave out --random", devices));
  if (args.ranks && args.plans <= 0 && devices != ranks)
    throw Error(ExitCode::usage, fmt::format("--ranks: the plan is for {} devices, --ranks says {}", devices, ranks),
                "leave out --ranks: it is of random plans");
}

ExitCode verify(const Context& context, const VerifyArgs& args) {
  check_ranks(args);
  try_writing(args.json);
  if (!args.plan.empty()) refuse_parallelism("--plan", args.overrides);
  const RunFile run = RunFile::load(args.run_file, args.overrides);
  const Catalog catalog = context.catalog(run.document);
  const VerifyRequest request = request_of(args, run, catalog);
  if (!is_rank()) data::check_fields(run, describe_model(run, catalog));
  if (args.processes && !is_rank()) return static_cast<ExitCode>(launch_local(context.command, ranks_of(args)));
  auto* const entry = reinterpret_cast<VerifyEntry*>(run_side_entry(kVerifyEntry));
  return entry(request) == 0 ? ExitCode::success : ExitCode::failure;
}

}  // namespace

void add_verify_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<VerifyArgs>();
  CLI::App* verb = app.add_subcommand("verify", "Check that plans, random ones or a given one, train like one device.");
  verb->add_option("run", args->run_file, "The run file; of its model, at test size")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--random", args->plans, "Random plans to check. Default: 20; with --plan, none")
      ->type_name("N")->check(at_least_one());
  verb->add_option("--ranks", args->ranks, "Ranks of a random plan. Default: 8")->type_name("R");
  verb->add_option("--seed", args->seed, "Of plans, weights, data and dropout. Default: 1")->type_name("S");
  verb->add_option("--first", args->first, "Number of the first random plan: to repeat one that failed")
      ->type_name("I")->check(CLI::NonNegativeNumber);
  verb->add_option("--plan", args->plan, "Check this plan, in the run's dtype")->type_name("FILE");
  verb->add_flag("--full", args->full, "The model as it is, not shrunk to test size; checks memory, too");
  verb->add_option("--dtype", args->dtype, "f64, f32 or bf16. Default: f64; with --plan, the run's")->type_name("DTYPE");
  verb->add_flag("--processes", args->processes, "Ranks are processes instead of threads");
  verb->add_flag("--gloo", args->gloo, "Thread ranks communicate over Gloo instead of memory; with --full they always do");
  verb->add_option("--json", args->json, "Also write the result to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return verify(context, *args); }; });
}

}  // namespace trellis::host
