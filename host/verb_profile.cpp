// trellis profile RUN.yaml: measures every kernel and collective that a search for this run may ask for.
#include <fmt/format.h>

#include <algorithm>

#include "host/planning.h"
#include "host/run_side.h"
#include "run/profile/profiler.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

struct ProfileArgs {
  std::filesystem::path run_file, out;
  std::vector<std::string> overrides;
  std::optional<int> devices;
};

ExitCode profile(const Context& context, const ProfileArgs& args) {
  const Planning p = Planning::load(context, args.run_file, args.overrides, args.devices);
  const Problem problem = p.problem();
  ProfileRequest request;
  request.kernels = measurements(problem, *p.ops, p.run.train.dtype);
  request.ops = p.ops.get();
  request.dtype = p.run.train.dtype;
  request.device = p.run.devices.kind;
  request.ranks = std::min(p.devices, p.cluster.devices_per_node);
  request.threads = p.run.devices.threads;
  for (int n = 2; n <= request.ranks; ++n)
    if (p.devices % n == 0) request.groups.push_back(n);
  request.known = p.profile;
  request.progress = [](const std::string& line) { log().info("{}", line); };

  Profile result;
  reinterpret_cast<ProfileEntry*>(run_side_entry(kProfileEntry))(request, result);
  const std::filesystem::path file = args.out.empty() ? p.profile_file : args.out;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  write_file_atomically(file, to_yaml(result));
  fmt::print("{}: {} kernels, {} links, copies {:.1f} GB/s, AdamW {} a million elements\n", file.string(), result.compute.size(),
             result.links.size(), result.copy_bandwidth / 1e9, result.adamw);
  for (const LinkFit& fit : result.links)
    fmt::print("  {} among {}: {} + bytes / {:.2f} GB/s\n", name_of(fit.kind), fit.ranks, fit.link.latency, fit.link.bandwidth / 1e9);
  return ExitCode::success;
}

}  // namespace

void add_profile_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ProfileArgs>();
  CLI::App* verb = app.add_subcommand("profile", "Measure the kernels and collectives that a search for this run asks for.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->devices, "Devices to plan for. Default: devices.count, else the cores, 4 at most")
      ->check(CLI::PositiveNumber)->type_name("N");
  verb->add_option("--out", args->out, "Write the profile to FILE. Default: profile.file, else runs/NAME.profile.yaml")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return profile(context, *args); }; });
}

}  // namespace trellis::host
