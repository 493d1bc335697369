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
#include "trellis/plan/error.h"

namespace trellis::profile {
namespace {

constexpr const char* kKernels = "4";  // raised when kernels become faster or slower, or are timed otherwise
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
  }

  int threads() const { return threads_; }

  Profile run() {
    Profile profile;
    profile.machine = {
        {"device", on_cpu_ ? processor() : cuda_room().name(0)},
        {"dtype", std::string(name_of(request_.dtype))},
        {"kernels", kKernels},
        {"ranks", fmt::format("{}", ranks_)},
        {"threads", fmt::format("{}", threads_)},
        {"torch", fmt::format("{}.{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH)}};
    if (request_.known && request_.known->fingerprint() == profile.fingerprint()) profile = *request_.known;
    measure_kernels(profile);
    if (profile.copy_bandwidth <= 0) profile.copy_bandwidth = copy_bandwidth();
    if (on_cpu_ && profile.copies.empty()) profile.copies = copies();
    if (profile.launch.value <= 0) profile.launch = launch();
    measure_update(profile);
    if (on_cpu_ && ranks_ > 1 && profile.slowdown <= 0) profile.slowdown = time_slowdown(ranks_);
    for (const int group : request_.groups) {
      const auto has = [group](const LinkFit& fit) { return fit.ranks == group; };
      if (!on_cpu_ || group < 2 || std::ranges::any_of(profile.links, has)) continue;
      request_.progress(fmt::format("collectives among {} ranks", group));
      for (const LinkFit& fit : time_links(group, moves_)) profile.links.push_back(fit);
    }
    if (!passes_.empty()) profile.unexplained = std::max(profile.unexplained, unexplained(profile));
    return profile;
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

  // The mean over the ranks.
  template <class Time>
  double mean_of_ranks(Time&& time) const {
    std::vector<double> seconds(static_cast<std::size_t>(ranks_));
    on_all_ranks([&](int rank, auto&, CommWorld*) { seconds[static_cast<std::size_t>(rank)] = time(); });
    double sum = 0;
    for (const double s : seconds) sum += s;
    return sum / ranks_;
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

  // What rounds over all layers have found, by key or by move; one entry a round.
  struct Rounds {
    std::map<std::string, std::vector<double>> kernels;
    std::map<std::tuple<MoveKind, int, Bytes>, std::vector<double>> moves;
    std::vector<std::vector<double>> passes;  // by layer
  };

  void measure_layers(Profile& profile, const std::vector<const Measurement*>& missing) {
    std::set<std::string> wanted;
    for (const Measurement* m : missing) wanted.insert(m->key);
    const std::vector<const Measurement*> layers = layers_with(missing);
    const double seconds = std::max(kSecondsALayer, kSecondsARound / static_cast<double>(std::max<std::size_t>(1, layers.size())));
    Rounds rounds;
    rounds.passes.resize(layers.size());
    for (int round = 0; round < kRounds; ++round) {
      std::map<std::tuple<MoveKind, int, Bytes>, std::vector<double>> moves;  // a size occurs in many layers
      for (std::size_t l = 0; l < layers.size(); ++l) {
        if (l % 20 == 0) request_.progress(fmt::format("round {} of {}, layer {} of {}", round + 1, kRounds, l + 1, layers.size()));
        const LayerFigures found = time_layer(*layers[l], seconds);
        for (const auto& [key, time] : found.kernels) {
          auto& list = rounds.kernels[key];
          if (wanted.contains(key) && static_cast<int>(list.size()) <= round) list.push_back(time);
        }
        for (const auto& [what, time] : found.moves) moves[what].push_back(time);
        rounds.passes[l].push_back(found.pass);
      }
      for (const auto& [what, times] : moves) rounds.moves[what].push_back(figure_of(times).seconds);
    }
    std::vector<double> totals(kRounds);
    for (const auto& [key, list] : rounds.kernels) {
      if (!wanted.contains(key)) continue;
      const Figure figure = calm_of(list);
      profile.compute[key] = from_seconds(figure.seconds), profile.spreads[key] = figure.spread;
      for (std::size_t r = 0; r < list.size(); ++r) totals[r] += list[r];
    }
    profile.spread = std::max(profile.spread, figure_of(totals).spread / std::sqrt(kRounds));  // of their mean
    for (const auto& [what, list] : rounds.moves) moves_[what] = figure_of(list);
    for (std::size_t l = 0; l < layers.size(); ++l)
      if (ranks_ % layers[l]->stage->line.size() == 0)  // else there was nobody to communicate with
        passes_.emplace_back(layers[l], calm_of(rounds.passes[l]).seconds);
  }

  struct LayerFigures {
    std::map<std::string, double> kernels;
    std::map<std::tuple<MoveKind, int, Bytes>, double> moves;
    double pass = 0;
  };

  LayerFigures time_layer(const Measurement& m, double seconds) {
    std::vector<LayerTimes> times(static_cast<std::size_t>(ranks_));
    int runs = kFewestRuns;
    on_all_ranks([&](int rank, auto& barrier, CommWorld* world) {
      LayerTimer timer(m, kernels_, *request_.ops, device_, !crowded_ && threads_ == 1, world);
      LayerTimes first;
      timer.run(first);  // chooses libraries, touches pages
      barrier.arrive_and_wait();
      const double once = timer.run(times[static_cast<std::size_t>(rank)]);
      if (rank == 0) runs = std::clamp(static_cast<int>(seconds / once), kFewestRuns, 200);
      barrier.arrive_and_wait();
      for (int r = 1; r < runs; ++r) timer.run(times[static_cast<std::size_t>(rank)]);
    });
    LayerFigures result;
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

  double copy_bandwidth() const {
    constexpr std::int64_t kBytes = 16 << 20;
    const double seconds = mean_of_ranks([&] {
      const at::Tensor from = at::zeros({kBytes / 4}, device_.dtype(at::kFloat)), to = at::zeros_like(from);
      return repeated(20, [&] { to.copy_(from); });
    });
    return 2 * static_cast<double>(kBytes) / seconds;
  }

  // Of a piece of a tensor into a new one: what redistributions do around their transfers. Sources take turns, as many as
  // a core's caches have no room for.
  TimedSizes copies() const {
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

  Picoseconds launch() const {
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

  void measure_update(Profile& profile) const {
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
  MoveFigures moves_;                              // of collectives in layers
  std::vector<std::pair<const Measurement*, double>> passes_;  // layers as a whole
};

}  // namespace
}  // namespace trellis::profile

extern "C" TRELLIS_API void trellis_profile(const trellis::ProfileRequest& request, trellis::Profile& result) {
  static_assert(std::is_same_v<decltype(trellis_profile), trellis::ProfileEntry>);
  const c10::NoGradGuard no_grad;
  if (request.device == "cuda") trellis::select_cuda_device();
  trellis::profile::Profiler profiler(request);
  trellis::prepare_process({.threads = profiler.threads()});
  mallopt(M_ARENA_MAX, 1);  // ranks are threads here and processes in a run: all allocate as a main thread does
  result = profiler.run();
}
