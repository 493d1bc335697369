#include "host/planning.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "plan/base/words.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

constexpr int kMostRanks = 4;  // as train starts by itself

// A CPU that nobody described: modest figures, so that search works before profile has run. All are marked as
// estimated. The reasons are those of configs/clusters/this-cpu.yaml.
Cluster undescribed_cpu() {
  Cluster cluster;
  cluster.name = "undescribed cpu";
  cluster.devices_per_node = 1 << 20;
  cluster.memory = 4_GiB;
  cluster.flops = {{"f32", 90e9}, {"bf16", 45e9}, {"f64", 45e9}};
  cluster.efficiency = 0.7;
  cluster.memory_bandwidth = 8e9;
  cluster.launch = 5_us;
  cluster.slowdown = 1.3;
  cluster.inside = cluster.between = {60_us, 1.5e9};
  return cluster;
}

std::filesystem::path beside(const Options& section, std::string_view key, const std::string& written) {
  return path_beside(section.mark(key), written);
}

// For this run's devices and dtype.
Cluster described(const Options& file, const Planning& p) {
  Cluster cluster = read_cluster(file);
  const std::string dtype(name_of(p.run.train.dtype));
  if (!cluster.flops.contains(dtype))
    file.reject("flops", fmt::format("there is no peak rate for {}, which the run computes in", dtype),
                fmt::format("add it, as in {{{}: 312TFLOP/s}}, or choose another train.dtype", dtype));
  if (p.devices > cluster.devices_per_node && !file.section("links").has("between"))
    file.section("links").reject("between",
                                 fmt::format("required: {} are more than the {} of a node", number_of(p.devices, "device"),
                                             cluster.devices_per_node),
                                 "what connects the nodes, as in {latency: 10us, bandwidth: 25GB/s}");
  return cluster;
}

int devices_of(const RunFile& run, std::optional<int> asked) {
  if (asked) return *asked;
  if (run.devices.count) return *run.devices.count;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostRanks);
}

// Threads of a rank, as far as they can be known: those that the run file says, or those that train takes on this machine.
int threads_of(const RunFile& run, int devices) {
  if (run.devices.threads > 0) return run.devices.threads;
  if (run.profile.has("cluster")) return 1;
  const char* const asked = std::getenv("OMP_NUM_THREADS");
  if (const int threads = asked ? std::atoi(asked) : 0; threads > 0) return threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / devices);
}

}  // namespace

Planning Planning::load(const Context& context, const std::filesystem::path& run_file,
                        const std::vector<std::string>& overrides, std::optional<int> devices) {
  Planning p;
  p.run = RunFile::load(run_file, overrides);
  p.catalog = std::make_unique<Catalog>(context.catalog(p.run.document));
  p.dimensions = p.catalog->dimensions();
  p.model = describe_model(p.run, *p.catalog);
  auto ops = std::make_shared<OpLibrary>();
  p.catalog->load_ops(*ops);
  p.devices = devices_of(p.run, devices);
  if (p.run.devices.kind == "cpu") ops->set_threads(threads_of(p.run, p.devices));
  p.ops = std::move(ops);

  const Options section = p.run.profile.with_owner("section 'profile'");
  if (const auto cluster = section.find<std::string>("cluster"))
    p.cluster = described(Options::from_file(beside(section, "cluster", *cluster)), p);
  else if (p.run.devices.kind == "cpu") p.cluster = undescribed_cpu();
  else
    section.reject("cluster", "required for devices that are not CPUs",
                   "name a description, as configs/clusters/a100-80g.yaml");
  const auto file = section.find<std::string>("file");
  p.profile_file =
      file ? beside(section, "file", *file) : std::filesystem::path(p.run.output.string() + ".profile.yaml");
  section.finish();
  if (std::filesystem::exists(p.profile_file)) p.profile = read_profile(Options::from_file(p.profile_file));
  else if (file) log().warn("there is no {} yet: times are estimated; run trellis profile", p.profile_file.string());
  p.prices = std::make_shared<const Prices>(p.cluster, p.profile, p.ops);
  return p;
}

}  // namespace trellis::host
