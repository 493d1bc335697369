// Hardware profiles (galvatron: profile_hardware/hardware_configs).
#include <fmt/format.h>

#include "profile.h"
#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

constexpr std::size_t kFewestSizes = 8;  // as the reference asks

[[noreturn]] void not_measured(const std::string& file, const std::string& key) {
  throw Error(ExitCode::bad_input, fmt::format("{}: required for this search, and not there", key),
              "profile it, or keep that degree out of the search (max_tp, max_sp, max_pp, disable)", {file});
}

std::map<int, LatencyTable> read_latencies(const JsonFile& file, const std::string& collective, double share) {
  std::map<int, Points> points;
  std::map<int, LatencyTable> tables;
  const std::string prefix = collective + "_size_";
  for (const auto& [key, value] : file.root().items()) {
    if (!key.starts_with(prefix)) continue;
    const std::int64_t ranks = number_after(key, prefix);
    const std::int64_t size = number_after(key, fmt::format("_{}_", ranks));
    if (ranks < 2 || size < 1 || !key.ends_with("MB_time"))
      file.reject({key}, fmt::format("expected a key like {}8_64MB_time", prefix));
    const double time = file.positive(value, {key}) * share;
    points[static_cast<int>(ranks)].x.push_back(static_cast<double>(size));
    points[static_cast<int>(ranks)].y.push_back(time);
    tables[static_cast<int>(ranks)].points[static_cast<double>(size)] = time;
  }
  for (auto& [ranks, table] : tables) {
    if (points[ranks].distinct() < kFewestSizes)
      file.reject({fmt::format("{}{}_*MB_time", prefix, ranks)},
                  fmt::format("too few points for a fit: {} sizes, at least {} are needed", points[ranks].distinct(),
                              kFewestSizes));
    table.line = fit_line(points[ranks]);
  }
  return tables;
}

}  // namespace

double LatencyTable::operator()(double megabytes) const {
  const auto exact = points.find(megabytes);
  return exact != points.end() ? exact->second : line(megabytes);
}

double HardwareProfile::all_reduce(int ranks, bool consecutive) const {
  if (ranks == 1) return 0;
  const auto found = all_reduce_ms.find({ranks, consecutive});
  if (found == all_reduce_ms.end())
    not_measured(all_reduce_file, fmt::format("allreduce_size_{}_consec_{}", ranks, consecutive ? 1 : 0));
  return found->second;
}

double HardwareProfile::send(int stages) const {
  const auto found = send_ms.find(stages);
  if (found == send_ms.end()) not_measured(send_file, fmt::format("pp_size_{}", stages));
  return found->second;
}

const LatencyTable& HardwareProfile::all_gather(int ranks) const {
  const auto found = gathers.find(ranks);
  if (found == gathers.end()) not_measured(latency_file, fmt::format("allreduce_size_{}_*MB_time", ranks));
  return found->second;
}

const LatencyTable& HardwareProfile::all_to_all(int ranks) const {
  const auto found = exchanges.find(ranks);
  if (found == exchanges.end()) not_measured(latency_file, fmt::format("all2all_size_{}_*MB_time", ranks));
  return found->second;
}

HardwareProfile read_hardware(const JsonFile& all_reduce, const JsonFile& send, const JsonFile& overlap,
                              const JsonFile& latencies, int devices) {
  HardwareProfile hardware;
  hardware.all_reduce_file = all_reduce.name();
  hardware.send_file = send.name();
  hardware.latency_file = latencies.name();
  for (int ranks = devices; ranks >= 2; ranks /= 2) {
    for (const bool consecutive : {true, false}) {
      // All ranks together are consecutive, however they are counted.
      const bool measured = consecutive || ranks == devices;
      const std::string key = fmt::format("allreduce_size_{}_consec_{}", ranks, measured ? 1 : 0);
      hardware.all_reduce_ms[{ranks, consecutive}] = 1 / all_reduce.positive({key});
    }
  }
  for (const auto& [key, value] : send.root().items()) {
    const std::int64_t stages = number_after(key, "pp_size_");
    if (stages > 0) hardware.send_ms[static_cast<int>(stages)] = 1 / send.positive(value, {key});
  }
  hardware.overlap = overlap.positive({"overlap_coe"});
  if (hardware.overlap < 1)
    overlap.reject({"overlap_coe"}, fmt::format("expected at least 1, found {}", hardware.overlap),
                   "it says how much slower computation and communication are together");
  // An all-gather or a reduce-scatter takes half an all-reduce.
  hardware.gathers = read_latencies(latencies, "allreduce", 0.5);
  hardware.exchanges = read_latencies(latencies, "all2all", 1);
  return hardware;
}

HardwareProfile read_hardware(const Settings& s) {
  const JsonFile all_reduce = JsonFile::read(find_hardware(s, "allreduce_bandwidth"));
  const JsonFile send = JsonFile::read(find_hardware(s, "p2p_bandwidth"));
  const JsonFile overlap = JsonFile::read(find_hardware(s, "overlap_coefficient"));
  return read_hardware(all_reduce, send, overlap, JsonFile::read(find_hardware(s, "sp_time")), s.devices);
}

Profiles read_profiles(const Settings& s) {
  return {read_hardware(s), read_computation(JsonFile::read(find_computation(s)), s),
          read_memory(JsonFile::read(find_memory(s)), s)};
}

}  // namespace trellis::galvatron
