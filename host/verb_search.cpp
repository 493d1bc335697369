// trellis search RUN.yaml: finds a plan, checks it, prints it and writes it where --out says.
#include <fmt/format.h>

#include "data/samples/suits.h"
#include "host/compare_searches.h"
#include "host/interruption.h"
#include "host/ordinary_search.h"
#include "host/replayed.h"
#include "host/standalone_search.h"
#include "host/sweep.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

struct SearchArgs {
  std::filesystem::path run_file, out, json;
  std::vector<std::string> overrides;
  std::vector<std::string> compare;
  std::optional<int> devices;
  std::string sweep;
  std::optional<int> points;
};

Planning load(const Context& context, const SearchArgs& args) {
  Planning planning = Planning::load(context, args.run_file, args.overrides, args.devices);
  data::check_fields(planning.run, planning.model);
  return planning;
}

ExitCode search_sweep(const Context& context, const SearchArgs& args) {
  const Planning p = load(context, args);
  const SweepResult result = sweep(context, p,
                                   {.sweep = parse_sweep(args.sweep),
                                    .most_points = args.points.value_or(32),
                                    .run_file = args.run_file,
                                    .overrides = args.overrides,
                                    .devices = args.devices});
  print(result);
  const SweepRow* best = result.best();
  const std::filesystem::path plan = best ? args.out : std::filesystem::path();
  if (!plan.empty()) write_file_atomically(plan, to_yaml(*best->found.plan));
  if (!args.json.empty()) {
    nlohmann::json json = to_json(p,
                                  best                  ? best->found
                                  : result.rows.empty() ? result.nothing
                                                        : result.rows.back().found,
                                  plan);
    // Of what is swept, not of the run file.
    if (result.of == Sweep::Of::memory) {
      const std::int64_t whole = best ? best->value : parse_sweep(args.sweep).values.back();
      json["budget_bytes"] = scaled(Bytes{whole}, 1 - p.margin()).value;
    }
    json["sweep"] = to_json(p, result);
    json["remarks"] = result.remarks;
    write_file_atomically(args.json, json.dump(2) + "\n");
  }
  if (!best) {
    const std::string budget =
        result.of == Sweep::Of::memory ? fmt::format(" and with search.budget={}", parse_sweep(args.sweep).values.back()) : "";
    throw Error(ExitCode::infeasible, fmt::format("--sweep {}: no plan fits anywhere", args.sweep),
                fmt::format("trellis search without --sweep{} tells what is missing", budget));
  }
  return ExitCode::success;
}

ExitCode search_ordinarily(const Context& context, const SearchArgs& args) {
  const Planning p = load(context, args);
  const Oracle oracle = oracle_of(p);
  std::vector<Compared> compared;
  if (!args.compare.empty()) compared = compare_searches(p, args.compare);
  const Found found = args.compare.empty() ? run_search(p, oracle, name_of_search(p)) : best_of(compared);
  const auto replayed = found.plan ? replayed_step(p, *found.plan) : std::nullopt;
  if (found.plan) print(p, found, replayed);
  if (!compared.empty()) print(compared);
  const std::filesystem::path plan = found.plan ? args.out : std::filesystem::path();
  if (!plan.empty()) write_file_atomically(plan, to_yaml(*found.plan));
  const bool is_stopped = Interruption::came() && !found.is_proven();
  const auto missing = found.plan || is_stopped ? std::nullopt : std::optional(infeasible(p, oracle, found));
  if (!args.json.empty()) {
    nlohmann::json json = to_json(p, found, plan);
    if (found.plan) json["estimated"] = estimates_of(p, *found.plan);
    json["replayed_s"] = replayed ? nlohmann::json(to_seconds(*replayed)) : nlohmann::json();
    if (missing) json["infeasible"] = to_json(p, *missing);
    for (const Compared& one : compared) json["compare"].push_back(to_json(p, compared, one));
    write_file_atomically(args.json, json.dump(2) + "\n");
  }
  if (!found.plan && is_stopped)
    throw Error(ExitCode::infeasible, "stopped before a plan was found that fits; whether there is one is not known",
                "give the search more time, or more memory (search.budget)");
  if (!found.plan) throw to_error(p, *missing);
  return ExitCode::success;
}

ExitCode search(const Context& context, const SearchArgs& args) {
  const Interruption interruption;
  try_writing(args.out), try_writing(args.json);
  if (!args.sweep.empty()) {
    parse_sweep(args.sweep);
    if (!args.compare.empty()) throw Error(ExitCode::usage, "--sweep and --compare exclude each other");
  }
  if (args.points && (args.sweep.empty() || !parse_sweep(args.sweep).is_front))
    throw Error(ExitCode::usage, "--points is for a front", "as in --sweep memory=16GiB..80GiB --points 12");
  const Options document = Options::load_run_file(args.run_file, args.overrides);
  if (!is_standalone(context, document))
    return args.sweep.empty() ? search_ordinarily(context, args) : search_sweep(context, args);
  if (!args.sweep.empty())
    throw Error(ExitCode::usage, "--sweep is for searches over the model and costs of a run file",
                "this search brings its own; change its options");
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
  CLI::App* verb = app.add_subcommand("search", "Find the plan with the shortest step that fits in memory. search.fix and search.forbid pin what is known: "
                                         "search.forbid=[ckpt], 'search.fix={0-3: {tp: {degree: 2}}}' (docs/formats.md). "
                                         "Ctrl-C ends the search with the best plan so far, a second one at once; "
                                         "'search.limit={seconds: 30}' after that time.");
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
  verb->add_option("--sweep", args->sweep,
                   "Search under several values of memory, gpus, batch or sequence and print an answer for each: "
                   "memory=16GiB..80GiB (the whole front: every plan that is the best of some budget), "
                   "memory=16GiB..80GiB:8GiB, gpus=8,16,32, batch=32..256 (doubling). --out has the fastest. Default search: exact, with 30 s "
                   "for the front and 2 s for a value unless search.limit says otherwise")
      ->type_name("WHAT=VALUES");
  verb->add_option("--points", args->points, "Of a front of --sweep memory=A..B: at most so many plans, spread over the range. Default: 32")
      ->check(at_least_one())
      ->type_name("N");
  verb->add_option("--json", args->json, "Also write plan, costs and what was explored to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return search(context, *args); }; });
}

}  // namespace trellis::host
