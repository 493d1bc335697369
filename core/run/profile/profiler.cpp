#include "run/profile/profiler.h"

#include <malloc.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "run/comm/cuda_room.h"
#include "run/comm/thread_ranks.h"
#include "run/kernels/machine.h"
#include "run/kernels/support.h"
#include "run/optimizer/optimizer.h"
#include "run/memory/guards.h"
#include "run/profile/kernel_timer.h"
#include "run/profile/layer_timer.h"
#include "run/profile/link_timer.h"
#include "run/profile/pace.h"
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
    if (ranks_ > 1) threads_of_ranks_ = std::make_unique<ThreadRanks>(ranks_, false);
    if (on_cpu_) paces_.resize(static_cast<std::size_t>(ranks_));
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
    if (on_cpu_ && pace_ == 0) pace_ = usual_pace();
    if (profile.copy_bandwidth <= 0) profile.copy_bandwidth = copy_bandwidth();
    if (on_cpu_ && profile.copies.empty()) profile.copies = copies();
    if (profile.launch.value <= 0) profile.launch = launch();
    measure_update(profile);
    if (on_cpu_ && ranks_ > 1 && profile.slowdown <= 0) profile.slowdown = time_slowdown(ranks_);
    for (const int group : request_.groups) {
      const auto has = [group](const LinkFit& fit) { return fit.ranks == group; };
      if (!on_cpu_ || group < 2 || std::ranges::any_of(profile.links, has)) continue;
      request_.progress(fmt::format("collectives among {} ranks", group));
      for (const LinkFit& fit : time_links(group, moves_, pace_)) profile.links.push_back(fit);
    }
    if (!passes_.empty()) profile.unexplained = std::max(profile.unexplained, unexplained(profile));
    result.pace = pace_;
    return result;
  }

 private:
  // Runs body(rank, barrier, world) on as many threads as a run has ranks, all at once: they share caches and memory, in
  // a run too, and communicate as there. A single rank runs on this thread, without a world.
  template <class Body>
  void on_all_ranks(Body&& body) const {
    std::barrier barrier(ranks_);
    if (ranks_ == 1) return body(0, barrier, nullptr);
    threads_of_ranks_->run([&](CommWorld& world) {
      const c10::NoGradGuard no_grad;
      at::set_num_threads(threads_);
      set_flush_denormals(true);
      barrier.arrive_and_wait();
      try {
        body(world.rank(), barrier, &world);
      } catch (...) {
        barrier.arrive_and_drop();
        throw;
      }
    });
  }

  // The mean over the ranks, at the profile's pace.
  template <class Time>
  double mean_of_ranks(Time&& time) {
    std::vector<double> seconds(static_cast<std::size_t>(ranks_));
    std::vector<double> pace(seconds.size());
    on_all_ranks([&](int rank, auto& barrier, CommWorld*) {
      const auto r = static_cast<std::size_t>(rank);
      pace[r] = pace_now(rank, barrier);
      seconds[r] = time();
      pace[r] = (pace[r] + pace_now(rank, barrier)) / 2;
    });
    return mean(seconds) * (on_cpu_ ? pace_ / mean(pace) : 1);
  }

  // What this rank's thread finds while all ranks ask.
  double pace_now(int rank, auto& barrier) {
    if (!on_cpu_) return 0;
    barrier.arrive_and_wait();
    return paces_[static_cast<std::size_t>(rank)].seconds();
  }

  double usual_pace() {
    std::vector<std::vector<double>> paces(static_cast<std::size_t>(ranks_));
    on_all_ranks([&](int rank, auto& barrier, CommWorld*) {
      for (int n = 0; n < 30; ++n) paces[static_cast<std::size_t>(rank)].push_back(pace_now(rank, barrier));
    });
    double sum = 0;
    for (std::vector<double>& rank : paces) sum += middle(std::move(rank)) / ranks_;
    return sum;
  }

  static double middle(std::vector<double> values) {
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    return values[values.size() / 2];
  }

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
    pace_ = calm_pace(rounds);
    for (Round& round : rounds)
      for (LayerFigures& layer : round) layer.scale(pace_ / layer.pace);
    take_kernels(profile, rounds, missing);
    take_moves(rounds);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (ranks_ % layers[l]->stage->line.size() != 0) continue;  // there was nobody to communicate with
      std::vector<double> passes;
      for (const Round& round : rounds) passes.push_back(round[l].pass);
      passes_.emplace_back(layers[l], middle(std::move(passes)));
    }
  }

  // The usual one of the calmest round: a single one is off by some per cent.
  static double calm_pace(const std::vector<Round>& rounds) {
    double least = std::numeric_limits<double>::infinity();
    for (const Round& round : rounds) {
      std::vector<double> paces;
      for (const LayerFigures& layer : round) paces.push_back(layer.pace);
      least = std::min(least, middle(std::move(paces)));
    }
    return least;
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
    on_all_ranks([&](int rank, auto& barrier, CommWorld* world) {
      const auto mine = static_cast<std::size_t>(rank);
      LayerTimer timer(m, kernels_, *request_.ops, device_, !crowded_ && threads_ == 1, world);
      LayerTimes first;
      timer.run(first);  // chooses libraries, touches pages
      pace[mine] = pace_now(rank, barrier) / 2;
      barrier.arrive_and_wait();
      const double once = timer.run(times[mine]);
      if (rank == 0) runs = std::clamp(static_cast<int>(seconds / once), kFewestRuns, 200);
      barrier.arrive_and_wait();
      for (int r = 1; r < runs; ++r) timer.run(times[mine]);
      pace[mine] += pace_now(rank, barrier) / 2;
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

  // Seconds of one call, over some repetitions.
  template <class Call>
  double repeated(std::size_t repetitions, Call&& call) const {
    call();
    const auto sync = [&] {
      if (!on_cpu_) at::zeros({1}, device_.dtype(at::kFloat)).item<float>();
    };
    sync();
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t r = 0; r < repetitions; ++r) call();
    sync();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(repetitions);
  }

  double copy_bandwidth() {
    constexpr std::int64_t kBytes = 16 << 20;
    const double seconds = mean_of_ranks([&] {
      const at::Tensor from = at::zeros({kBytes / 4}, device_.dtype(at::kFloat)), to = at::zeros_like(from);
      return repeated(20, [&] { to.copy_(from); });
    });
    return 2 * static_cast<double>(kBytes) / seconds;
  }

  // Of a piece of a tensor into a new one: what redistributions do around their transfers. Sources take turns, as many as
  // a core's caches have no room for.
  TimedSizes copies() {
    constexpr std::int64_t kColumns = 128, kColdBytes = 16 << 20;
    std::map<Bytes, double> seconds;
    for (std::int64_t bytes = 8 << 10; bytes <= 32 << 20; bytes *= 4) {  // read and written
      const std::int64_t rows = bytes / 2 / 4 / kColumns;
      const auto sets = static_cast<std::size_t>(std::clamp<std::int64_t>(kColdBytes / bytes, 2, 64));
      seconds[Bytes{bytes}] = mean_of_ranks([&] {
        std::vector<at::Tensor> sources(sets), pieces(sets);
        for (at::Tensor& source : sources) source = at::zeros({rows, 2 * kColumns}, device_.dtype(at::kFloat));
        std::vector<double> times;
        for (std::size_t n = 0; n < 5 * sets || n < 20; ++n) {
          const double begin = seconds_of(CLOCK_MONOTONIC);
          pieces[n % sets] = sources[n % sets].narrow(1, 0, kColumns).clone();
          if (n >= sets) times.push_back(seconds_of(CLOCK_MONOTONIC) - begin);
        }
        return typical(std::move(times));
      });
    }
    return rising(seconds);
  }

  Picoseconds launch() {
    return from_seconds(mean_of_ranks([&] {
      const at::Tensor a = at::zeros({64}, device_.dtype(at::kFloat)), b = at::zeros_like(a);
      return repeated(1000, [&] { at::add(a, b); });
    }));
  }

  // Shards take turns, more of them than a processor's caches have room for: an update finds them where the passes of a
  // step have left them.
  std::vector<AdamWShard> shards() const {
    const Dtype full = gradient_dtype(request_.dtype);
    const auto zeros = [&](Dtype dtype) { return at::zeros({kElements}, device_.dtype(scalar_type(dtype))); };
    std::vector<AdamWShard> shards(kShards);
    for (AdamWShard& shard : shards)
      shard = {.parameter = zeros(full),
               .gradient = zeros(full),
               .first_moment = zeros(full),
               .second_moment = zeros(full),
               .compute = request_.dtype == full ? at::Tensor() : zeros(request_.dtype),
               .decayed = kElements};
    return shards;
  }

  void measure_update(Profile& profile) {
    if (profile.adamw.value <= 0)
      profile.adamw = from_seconds(mean_of_ranks([&] {
        auto all = shards();
        std::size_t next = 0;
        return repeated(3 * kShards, [&] { kernels_.optimizer().adamw({}, all[next++ % kShards], 1, 1.0); });
      }));
    if (profile.norm.value <= 0)
      profile.norm = from_seconds(mean_of_ranks([&] {
        auto all = shards();
        const at::Tensor total = at::zeros({1}, device_.dtype(at::kDouble));
        std::size_t next = 0;
        return repeated(3 * kShards, [&] { kernels_.optimizer().add_squares(all[next++ % kShards].gradient, total); });
      }));
  }

  static constexpr std::int64_t kElements = 1'000'000;
  static constexpr std::size_t kShards = 8;

  const ProfileRequest& request_;
  at::TensorOptions device_;
  KernelLibrary kernels_;
  bool on_cpu_ = true, crowded_ = false;
  int ranks_ = 1, threads_ = 1;
  std::unique_ptr<ThreadRanks> threads_of_ranks_;  // on the CPU, of several ranks
  std::vector<Pace> paces_;                        // by rank
  double pace_ = 0;                                // that the profile's times are told for
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
