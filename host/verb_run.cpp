// trellis run RUN.yaml: profile, search and train, one after the other, each as the verb of its name.
#include <fmt/format.h>
#include <sys/wait.h>

#include <filesystem>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/samples/run_data.h"
#include "host/child.h"
#include "host/interruption.h"
#include "host/planning.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

struct RunArgs {
  std::filesystem::path run_file, json;
  std::vector<std::string> overrides;
  std::optional<int> devices;
};

// One verb as a process of its own: the planning verbs must not have LibTorch in them, the ranks must.
ExitCode verb(const Context& context, const RunArgs& args, int devices, const std::string& name, const std::vector<std::string>& more) {
  std::vector<std::string> words;
  for (const auto& folder : context.plugin_folders) words.insert(words.end(), {"--plugins", folder.string()});
  words.insert(words.end(), {name, args.run_file.string()});
  words.insert(words.end(), args.overrides.begin(), args.overrides.end());
  words.insert(words.end(), {"--nproc", std::to_string(devices)});
  words.insert(words.end(), more.begin(), more.end());
  fmt::print("== trellis {}\n", name);
  const int status = run_child(words, Interruption::pass_on_to);
  Interruption::pass_on_to(0);
  if (WIFSIGNALED(status))
    throw Error(ExitCode::rank_failed, fmt::format("trellis {} was ended by signal {}", name, WTERMSIG(status)));
  return static_cast<ExitCode>(WEXITSTATUS(status));
}

// The search has ended with the best plan that it had: whoever stopped it did not ask for a training. Ends this
// process by the same signal, as whoever waits for it expects.
[[noreturn]] void end_stopped(const RunArgs& args, const std::filesystem::path& plan, bool has_plan) {
  if (has_plan)
    fmt::print("stopped: {} has the best plan so far; trellis train {} --plan {} trains by it\n", plan.string(),
               args.run_file.string(), plan.string());
  std::fflush(nullptr);
  signal(Interruption::signal(), SIG_DFL);
  raise(Interruption::signal());
  std::abort();  // not reached
}

ExitCode run(const Context& context, const RunArgs& args) {
  try_writing(args.json);
  const Planning planning = Planning::load(context, args.run_file, args.overrides, args.devices);
  check_export(planning.run, planning.model, *planning.catalog);
  OpLibrary ops;
  planning.catalog->load_ops(ops);
  // Before minutes of profiling; what is only to be remarked on, train does.
  const std::vector<std::string> classes = data::check_data(planning.run, planning.model, ops);
  compare_classes(planning.run, open_weights(planning.run, planning.model, *planning.catalog).get(), classes);
  const std::filesystem::path folder = planning.run.output;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ExitCode::io, "output: cannot make folder '{}': {}", folder.string(), error.message());
  const std::filesystem::path plan = folder / "searched.yaml";
  const auto result = [&](const std::string& name) { return (folder / (name + ".json")).string(); };
  std::vector<std::pair<std::string, std::vector<std::string>>> steps = {
      {"profile", {"--json", result("profile")}},
      {"search", {"--out", plan.string(), "--json", result("search")}},
      {"train", {"--plan", plan.string(), "--json", result("train")}},
  };
  nlohmann::json all;
  for (auto& [name, more] : steps) {
    // A search may have chosen the batch; training would refuse another one than the run file's.
    if (name == "train" && planning.run.train.batch)
      more.push_back(fmt::format("train.batch={}", Options::from_file(plan).section("global").required<std::int64_t>("batch")));
    std::optional<Interruption> interruption;  // profile and train end at once, as they do by themselves
    if (name == "search") interruption.emplace();
    const ExitCode code = verb(context, args, planning.devices, name, more);
    if (interruption && Interruption::came()) end_stopped(args, plan, code == ExitCode::success);
    interruption.reset();
    if (code != ExitCode::success) return code;
    all[name] = nlohmann::json::parse(read_file(result(name)));
  }
  if (!args.json.empty()) write_file_atomically(args.json, all.dump(2) + "\n");
  return ExitCode::success;
}

}  // namespace

void add_run_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<RunArgs>();
  CLI::App* verb = app.add_subcommand("run", "Profile, search and train by one run file.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->devices, "Devices to plan for, and local ranks to start. Default: devices.count, else the cores, 4 at most")
      ->check(at_least_one())->type_name("N");
  verb->add_option("--json", args->json, "Also write the results of the three, under their names, to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return run(context, *args); }; });
}

}  // namespace trellis::host
