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

constexpr const char* kKernels = "2";  // raised when kernels become faster or slower
constexpr int kRounds = 3;             // over all layers, so that what comes and goes falls on all alike
constexpr double kSecondsALayer = 0.06;  // of a round
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
    if (profile.launch.value <= 0) profile.launch = launch();
    measure_update(profile);
    if (on_cpu_ && ranks_ > 1 && profile.slowdown <= 0) profile.slowdown = time_slowdown(ranks_);
    for (const int group : request_.groups) {
      const auto has = [group](const LinkFit& fit) { return fit.ranks == group; };
      if (!on_cpu_ || group < 2 || std::ranges::any_of(profile.links, has)) continue;
      request_.progress(fmt::format("collectives among {} ranks", group));
      for (const LinkFit& fit : time_links(group)) profile.links.push_back(fit);
    }
    return profile;
  }

 private:
  // Runs body(rank, barrier) on as many threads as a run has ranks, all at once: they share caches and memory, in a run
  // too. A single rank runs on this thread.
  template <class Body>
  void on_all_ranks(Body&& body) const {
    std::barrier barrier(ranks_);
    if (ranks_ == 1) return body(0, barrier);
    std::exception_ptr error;
    std::mutex mutex;
    const auto guarded = [&](int rank) {
      const c10::NoGradGuard no_grad;
      at::set_num_threads(threads_);
      set_flush_denormals(true);
      barrier.arrive_and_wait();
      try {
        body(rank, barrier);
      } catch (...) {
        const std::lock_guard lock(mutex);
        error = std::current_exception();
        barrier.arrive_and_drop();
      }
    };
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks_; ++r) threads.emplace_back(guarded, r);
    for (std::thread& t : threads) t.join();
    if (error) std::rethrow_exception(error);
  }

  // The mean over the ranks.
  template <class Time>
  double mean_of_ranks(Time&& time) const {
    std::vector<double> seconds(static_cast<std::size_t>(ranks_));
    on_all_ranks([&](int rank, auto&) { seconds[static_cast<std::size_t>(rank)] = time(); });
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

  void measure_layers(Profile& profile, const std::vector<const Measurement*>& missing) {
    std::set<std::string> wanted;
    for (const Measurement* m : missing) wanted.insert(m->key);
    const std::vector<const Measurement*> layers = layers_with(missing);
    std::map<std::string, std::vector<double>> seconds;  // of each round
    for (int round = 0; round < kRounds; ++round)
      for (std::size_t l = 0; l < layers.size(); ++l) {
        if (l % 20 == 0) request_.progress(fmt::format("round {} of {}, layer {} of {}", round + 1, kRounds, l + 1, layers.size()));
        for (const auto& [key, time] : time_layer(*layers[l]))
          if (wanted.contains(key) && static_cast<int>(seconds[key].size()) <= round) seconds[key].push_back(time);
      }
    std::vector<double> totals(kRounds);
    for (const auto& [key, rounds] : seconds) {
      double sum = 0;
      for (std::size_t r = 0; r < rounds.size(); ++r) sum += rounds[r], totals[r] += rounds[r];
      profile.compute[key] = from_seconds(sum / static_cast<double>(rounds.size()));
    }
    const double mean = std::accumulate(totals.begin(), totals.end(), 0.0) / kRounds;
    for (const double total : totals) profile.spread = std::max(profile.spread, std::abs(total / mean - 1));
  }

  std::map<std::string, double> time_layer(const Measurement& m) {
    std::vector<KernelTimes> times(static_cast<std::size_t>(ranks_));
    int runs = kFewestRuns;
    on_all_ranks([&](int rank, auto& barrier) {
      LayerTimer timer(m, kernels_, *request_.ops, device_, !crowded_ && threads_ == 1);
      KernelTimes first;
      timer.run(first);  // chooses libraries, touches pages
      barrier.arrive_and_wait();
      const double once = timer.run(times[static_cast<std::size_t>(rank)]);
      if (rank == 0) runs = std::clamp(static_cast<int>(kSecondsALayer / once), kFewestRuns, 50);
      barrier.arrive_and_wait();
      for (int r = 1; r < runs; ++r) timer.run(times[static_cast<std::size_t>(rank)]);
    });
    std::map<std::string, double> result;
    for (KernelTimes& rank : times)
      for (auto& [key, list] : rank) result[key] += typical(std::move(list)) / ranks_;
    return result;
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
