// trellis profile RUN.yaml: measures every kernel and collective that a search for this run may ask for.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/planning.h"
#include "host/run_side.h"
#include "run/profile/profiler.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

struct ProfileArgs {
  std::filesystem::path run_file, out, json;
  std::vector<std::string> overrides;
  std::optional<int> devices;
  bool fresh = false;
};

std::string to_json(const ProfileResult& result, const std::filesystem::path& file) {
  const Profile& profile = result.profile;
  nlohmann::json json;
  json["profile"] = file.string();
  json["fingerprint"] = profile.fingerprint();
  json["machine"] = profile.machine;
  for (const auto& [key, time] : profile.compute) json["compute_seconds"][key] = to_seconds(time);
  for (const auto& [key, spread] : profile.spreads) json["compute_spread"][key] = spread;
  for (const auto& [bytes, time] : profile.copies)
    json["copies"].push_back({{"bytes", bytes.value}, {"seconds", to_seconds(time)}});
  for (const LinkFit& fit : profile.links)
  {
    json["links"].push_back({{"kind", name_of(fit.kind)},
                             {"ranks", fit.ranks},
                             {"spread", fit.spread},
                             {"latency_seconds", to_seconds(fit.link.latency)},
                             {"bytes_per_second", fit.link.bandwidth}});
    for (const auto& [bytes, time] : fit.points)
      json["links"].back()["points"].push_back({{"bytes", bytes.value}, {"seconds", to_seconds(time)}});
  }
  json["copy_bytes_per_second"] = profile.copy_bandwidth;
  json["launch_seconds"] = to_seconds(profile.launch);
  json["adamw_seconds_per_million"] = to_seconds(profile.adamw);
  json["norm_seconds_per_million"] = to_seconds(profile.norm);
  json["slowdown"] = profile.slowdown;
  json["spread"] = profile.spread;
  json["unexplained"] = profile.unexplained;
  json["pace_seconds"] = result.pace;
  return json.dump(2) + "\n";
}

ExitCode profile(const Context& context, const ProfileArgs& args) {
  try_writing(args.json);
  const Planning p = Planning::load(context, args.run_file, args.overrides, args.devices);
  const std::filesystem::path file = args.out.empty() ? p.profile_file : args.out;
  try_writing(file);
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
  if (!args.fresh) request.known = p.profile;
  request.progress = [](const std::string& line) { log().info("{}", line); };

  ProfileResult measured;
  reinterpret_cast<ProfileEntry*>(run_side_entry(kProfileEntry))(request, measured);
  const Profile& result = measured.profile;
  write_file_atomically(file, to_yaml(result));
  const std::size_t before = request.known ? request.known->compute.size() : 0;
  if (before == result.compute.size()) fmt::print("nothing to measure: the file has all figures (--fresh measures them again)\n");
  fmt::print("{}: {} kernels, {} links, copies {:.1f} GB/s, AdamW {} a million elements\n", file.string(),
             result.compute.size(), result.links.size(), result.copy_bandwidth / 1e9, result.adamw);
  for (const LinkFit& fit : result.links)
    fmt::print("  {} among {}: {} + bytes / {:.2f} GB/s\n", name_of(fit.kind), fit.ranks, fit.link.latency,
               fit.link.bandwidth / 1e9);
  fmt::print("  standard error of repeats {:.1f} %, layers differed from the sum of their figures by {:.1f} %",
             100 * result.spread, 100 * result.unexplained);
  if (result.slowdown > 0) fmt::print("; computing while communicating: {:.2f} times slower", result.slowdown);
  fmt::print("\n");
  if (!args.json.empty()) write_file_atomically(args.json, to_json(measured, file));
  return ExitCode::success;
}

}  // namespace

void add_profile_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ProfileArgs>();
  CLI::App* verb =
      app.add_subcommand("profile", "Measure the kernels and collectives that a search for this run asks for.");
  verb->add_option("run", args->run_file, "The run file")->required()->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the run file's")->type_name("key.path=value");
  verb->add_option("--nproc", args->devices, "Devices to plan for. Default: devices.count, else the cores, 4 at most")
      ->check(at_least_one())
      ->type_name("N");
  verb->add_option("--out", args->out, "Write the profile to FILE. Default: profile.file, else runs/NAME.profile.yaml")
      ->type_name("FILE");
  verb->add_flag("--fresh", args->fresh, "Measure all again; without it only what the file lacks is measured");
  verb->add_option("--json", args->json, "Also write all figures to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return profile(context, *args); }; });
}

}  // namespace trellis::host
