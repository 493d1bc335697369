#include "run/profile/profiler.h"

#include <malloc.h>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "run/comm/cuda_room.h"
#include "run/memory/guards.h"
#include "run/profile/common_timer.h"
#include "run/profile/kernel_timer.h"
#include "run/profile/layer_timer.h"
#include "run/profile/link_timer.h"
#include "run/profile/rank_team.h"
#include "trellis/plan/error.h"

namespace trellis::profile {
namespace {

constexpr const char* kKernels = "5";  // raised when kernels become faster or slower, or are timed otherwise
constexpr int kRounds = 5;               // over all layers, so that what comes and goes falls on all alike
constexpr double kSecondsALayer = 0.04;  // of a round, at the least
constexpr double kSecondsARound = 2;     // at the least: neighbors on the same processor disturb for seconds
constexpr int kFewestRuns = 2;

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

class Profiler {
 public:
  explicit Profiler(const ProfileRequest& request)
      : request_(request), device_(at::Device(request.device)), kernels_(request.device) {
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    on_cpu_ = request.device == "cpu";
    ranks_ = on_cpu_ ? request.ranks : 1;
    threads_ = request.threads > 0 ? request.threads : std::max(1, cores / request.ranks);
    crowded_ = ranks_ * threads_ > cores;
    team_.emplace(ranks_, threads_, on_cpu_);
  }

  int threads() const { return threads_; }

  ProfileResult run() {
    ProfileResult result;
    Profile& profile = result.profile;
    profile.machine = {
        {"device", on_cpu_ ? processor() : cuda_room().name(0)},
        {"dtype", std::string(name_of(request_.dtype))},
        {"kernels", kKernels},
        {"ranks", fmt::format("{}", ranks_)},
        {"threads", fmt::format("{}", threads_)},
        {"torch", fmt::format("{}.{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH)}};
    if (request_.known && request_.known->fingerprint() == profile.fingerprint()) profile = *request_.known;
    measure_kernels(profile);
    team_->find_pace();
    const CommonTimer common(*team_, kernels_, device_, request_.dtype);
    if (profile.copy_bandwidth <= 0) profile.copy_bandwidth = common.copy_bandwidth();
    if (on_cpu_ && profile.copies.empty()) profile.copies = common.copies();
    if (profile.launch.value <= 0) profile.launch = common.launch();
    if (profile.adamw.value <= 0) profile.adamw = common.adamw();
    if (profile.norm.value <= 0) profile.norm = common.norm();
    if (on_cpu_ && ranks_ > 1 && profile.slowdown <= 0) profile.slowdown = time_slowdown(ranks_);
    for (const int group : request_.groups) {
      const auto has = [group](const LinkFit& fit) { return fit.ranks == group; };
      if (!on_cpu_ || group < 2 || std::ranges::any_of(profile.links, has)) continue;
      request_.progress(fmt::format("collectives among {} ranks", group));
      for (const LinkFit& fit : time_links(group, moves_, team_->pace())) profile.links.push_back(fit);
    }
    if (!passes_.empty()) profile.unexplained = std::max(profile.unexplained, unexplained(profile));
    result.pace = team_->pace();
    return result;
  }

 private:
  void measure_kernels(Profile& profile) {
    std::vector<const Measurement*> missing;
    for (const Measurement& m : request_.kernels)
      if (!profile.compute.contains(m.key)) missing.push_back(&m);
    if (on_cpu_) return measure_layers(profile, missing);
    std::size_t done = 0;
    for (const Measurement* m : missing) {
      if (++done % 50 == 1) request_.progress(fmt::format("kernel {} of {}", done, missing.size()));
      profile.compute[m->key] = from_seconds(time_kernel(*m, kernels_, device_, crowded_));
    }
  }

  // Layers that have all missing kernels among them.
  static std::vector<const Measurement*> layers_with(const std::vector<const Measurement*>& missing) {
    std::vector<const Measurement*> layers;
    std::set<std::string> covered;
    for (const Measurement* m : missing) {
      if (covered.contains(m->key)) continue;
      layers.push_back(m);
      for (const auto* list : {&m->stage->forward, &m->stage->backward})
        for (const Instruction& i : *list)
          if (!i.last_only) covered.insert(compute_key(*m->stage, i));
    }
    return layers;
  }

  // What a layer took in one round, and the pace meanwhile.
  struct LayerFigures {
    std::map<std::string, double> kernels;
    std::map<std::tuple<MoveKind, int, Bytes>, double> moves;
    double pass = 0, pace = 0;

    void scale(double factor) {
      for (auto& [key, time] : kernels) time *= factor;
      for (auto& [what, time] : moves) time *= factor;
      pass *= factor;
    }
  };
  using Round = std::vector<LayerFigures>;  // by layer

  void measure_layers(Profile& profile, const std::vector<const Measurement*>& missing) {
    const std::vector<const Measurement*> layers = layers_with(missing);
    if (layers.empty()) return;
    const double seconds = std::max(kSecondsALayer, kSecondsARound / static_cast<double>(layers.size()));
    std::vector<Round> rounds(kRounds);
    for (int round = 0; round < kRounds; ++round)
      for (std::size_t l = 0; l < layers.size(); ++l) {
        if (l % 20 == 0) request_.progress(fmt::format("round {} of {}, layer {} of {}", round + 1, kRounds, l + 1, layers.size()));
        rounds[static_cast<std::size_t>(round)].push_back(time_layer(*layers[l], seconds));
      }
    if (on_cpu_) team_->set_pace(usual_pace(rounds));
    for (Round& round : rounds)
      for (LayerFigures& layer : round) layer.scale(team_->pace() / layer.pace);
    take_kernels(profile, rounds, missing);
    take_moves(rounds);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (ranks_ % layers[l]->stage->line.size() != 0) continue;  // there was nobody to communicate with
      std::vector<double> passes;
      for (const Round& round : rounds) passes.push_back(round[l].pass);
      passes_.emplace_back(layers[l], middle(std::move(passes)));
    }
  }

  // That a training of some minutes would find, too: half of all layers were measured at a slower one.
  static double usual_pace(const std::vector<Round>& rounds) {
    std::vector<double> paces;
    for (const Round& round : rounds)
      for (const LayerFigures& layer : round) paces.push_back(layer.pace);
    return middle(std::move(paces));
  }

  static void take_kernels(Profile& profile, const std::vector<Round>& rounds, const std::vector<const Measurement*>& missing) {
    std::vector<double> totals(rounds.size());
    for (const Measurement* m : missing) {
      std::vector<double> times;  // by round: of the first layer that has it
      for (const Round& round : rounds)
        for (const LayerFigures& layer : round)
          if (const auto found = layer.kernels.find(m->key); found != layer.kernels.end()) {
            times.push_back(found->second);
            break;
          }
      if (times.size() != rounds.size() || profile.compute.contains(m->key)) continue;
      profile.spreads[m->key] = figure_of(times).spread;
      for (std::size_t r = 0; r < times.size(); ++r) totals[r] += times[r];
      profile.compute[m->key] = from_seconds(middle(std::move(times)));
    }
    profile.spread = std::max(profile.spread, figure_of(totals).spread / std::sqrt(static_cast<double>(rounds.size())));
  }

  void take_moves(const std::vector<Round>& rounds) {
    std::map<std::tuple<MoveKind, int, Bytes>, std::vector<double>> figures;  // by round
    for (const Round& round : rounds) {
      std::map<std::tuple<MoveKind, int, Bytes>, std::vector<double>> moves;  // a size occurs in many layers
      for (const LayerFigures& layer : round)
        for (const auto& [what, time] : layer.moves) moves[what].push_back(time);
      for (const auto& [what, times] : moves) figures[what].push_back(mean(times));
    }
    for (const auto& [what, list] : figures) moves_[what] = figure_of(list);
  }

  LayerFigures time_layer(const Measurement& m, double seconds) {
    std::vector<LayerTimes> times(static_cast<std::size_t>(ranks_));
    std::vector<double> pace(times.size());
    int runs = kFewestRuns;
    team_->run([&](int rank, RankTeam::Barrier& barrier, CommWorld* world) {
      const auto mine = static_cast<std::size_t>(rank);
      LayerTimer timer(m, kernels_, *request_.ops, device_, !crowded_ && threads_ == 1, world);
      LayerTimes first;
      timer.run(first);  // chooses libraries, touches pages
      pace[mine] = team_->pace_now(rank, barrier) / 2;
      barrier.arrive_and_wait();
      const double once = timer.run(times[mine]);
      if (rank == 0) runs = std::clamp(static_cast<int>(seconds / once), kFewestRuns, 200);
      barrier.arrive_and_wait();
      for (int r = 1; r < runs; ++r) timer.run(times[mine]);
      pace[mine] += team_->pace_now(rank, barrier) / 2;
    });
    LayerFigures result;
    result.pace = mean(pace);
    for (LayerTimes& rank : times) {
      for (auto& [key, list] : rank.kernels) result.kernels[key] += typical(std::move(list)) / ranks_;
      for (auto& [what, list] : rank.moves) result.moves[what] += mean(list) / ranks_;
      // One rank is late now and then, and all wait for it: in a step, too.
      result.pass += (ranks_ > 1 ? mean(rank.passes) : typical(std::move(rank.passes))) / ranks_;
    }
    return result;
  }

  // By how much layers differ from the sum of the figures of what they consist of: root of the mean square, in which each
  // counts by its time, as in a step.
  double unexplained(const Profile& profile) const {
    Cluster here;
    here.devices_per_node = ranks_;
    here.memory_bandwidth = profile.copy_bandwidth;
    const Prices prices(here, profile, {std::shared_ptr<void>(), request_.ops});
    double squares = 0, total = 0;
    for (const auto& [m, seconds] : passes_) {
      Picoseconds sum{0};
      for (const auto* list : {&m->stage->forward, &m->stage->backward})
        for (const Instruction& i : *list) {
          if (i.last_only) continue;
          const Price price = prices.price(*m->stage, i, m->context, {});
          sum += price.compute + price.transfer;
        }
      squares += std::pow(to_seconds(sum) - seconds, 2) / seconds, total += seconds;
    }
    return std::sqrt(squares / total);
  }

  const ProfileRequest& request_;
  at::TensorOptions device_;
  KernelLibrary kernels_;
  bool on_cpu_ = true, crowded_ = false;
  int ranks_ = 1, threads_ = 1;
  std::optional<RankTeam> team_;
  MoveFigures moves_;                              // of collectives in layers
  std::vector<std::pair<const Measurement*, double>> passes_;  // layers as a whole
};

}  // namespace
}  // namespace trellis::profile

extern "C" TRELLIS_API void trellis_profile(const trellis::ProfileRequest& request, trellis::ProfileResult& result) {
  static_assert(std::is_same_v<decltype(trellis_profile), trellis::ProfileEntry>);
  const c10::NoGradGuard no_grad;
  if (request.device == "cuda") trellis::select_cuda_device();
  trellis::profile::Profiler profiler(request);
  trellis::prepare_process({.threads = profiler.threads()});
  mallopt(M_ARENA_MAX, 1);  // ranks are threads here and processes in a run: all allocate as a main thread does
  result = profiler.run();
}
