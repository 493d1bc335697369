#include "run/profile/profiler.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <exception>
#include <fstream>
#include <mutex>
#include <thread>

#include "run/comm/cuda_room.h"
#include "run/kernels/machine.h"
#include "run/kernels/support.h"
#include "run/optimizer/optimizer.h"
#include "run/profile/kernel_timer.h"
#include "run/profile/link_timer.h"
#include "trellis/plan/error.h"

namespace trellis::profile {
namespace {

constexpr const char* kKernels = "1";  // raised when kernels become faster or slower

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
    at::set_num_threads(threads_);
    measure_kernels(profile);
    if (profile.copy_bandwidth <= 0) profile.copy_bandwidth = copy_bandwidth();
    if (profile.adamw.value <= 0) profile.adamw = adamw();
    for (const int group : request_.groups) {
      const auto has = [group](const LinkFit& fit) { return fit.ranks == group; };
      if (!on_cpu_ || group < 2 || std::ranges::any_of(profile.links, has)) continue;
      request_.progress(fmt::format("collectives among {} ranks", group));
      for (const LinkFit& fit : time_links(group)) profile.links.push_back(fit);
    }
    return profile;
  }

 private:
  // Runs it on as many threads as a run has ranks, all at once: they share caches and memory, in a run too. The mean.
  template <class Time>
  double on_all_ranks(Time&& time) const {
    std::barrier barrier(ranks_);
    std::vector<double> seconds(static_cast<std::size_t>(ranks_));
    std::exception_ptr error;
    std::mutex mutex;
    const auto body = [&](int rank) {
      const c10::NoGradGuard no_grad;
      at::set_num_threads(threads_);
      set_flush_denormals(true);
      barrier.arrive_and_wait();
      try {
        seconds[static_cast<std::size_t>(rank)] = time();
      } catch (...) {
        const std::lock_guard lock(mutex);
        error = std::current_exception();
      }
    };
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks_; ++r) threads.emplace_back(body, r);
    for (std::thread& t : threads) t.join();
    if (error) std::rethrow_exception(error);
    double sum = 0;
    for (const double s : seconds) sum += s;
    return sum / ranks_;
  }

  void measure_kernels(Profile& profile) {
    std::size_t done = 0;
    for (const Measurement& m : request_.kernels) {
      ++done;
      if (profile.compute.contains(m.key)) continue;
      if (done % 50 == 1) request_.progress(fmt::format("kernel {} of {}", done, request_.kernels.size()));
      profile.compute[m.key] = from_seconds(on_all_ranks([&] { return time_kernel(m, kernels_, device_, crowded_); }));
    }
  }

  // Seconds of one call, over some repetitions.
  template <class Call>
  double repeated(int repetitions, Call&& call) const {
    call();
    const auto sync = [&] {
      if (!on_cpu_) at::zeros({1}, device_.dtype(at::kFloat)).item<float>();
    };
    sync();
    const auto start = std::chrono::steady_clock::now();
    for (int r = 0; r < repetitions; ++r) call();
    sync();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repetitions;
  }

  double copy_bandwidth() const {
    constexpr std::int64_t kBytes = 16 << 20;
    const double seconds = on_all_ranks([&] {
      const at::Tensor from = at::zeros({kBytes / 4}, device_.dtype(at::kFloat)), to = at::zeros_like(from);
      return repeated(20, [&] { to.copy_(from); });
    });
    return 2 * static_cast<double>(kBytes) / seconds;
  }

  Picoseconds adamw() const {
    constexpr std::int64_t kElements = 1'000'000;
    const Dtype full = gradient_dtype(request_.dtype);
    return from_seconds(on_all_ranks([&] {
      const auto zeros = [&](Dtype dtype) { return at::zeros({kElements}, device_.dtype(scalar_type(dtype))); };
      AdamWShard shard{.parameter = zeros(full),
                       .gradient = zeros(full),
                       .first_moment = zeros(full),
                       .second_moment = zeros(full),
                       .compute = request_.dtype == full ? at::Tensor() : zeros(request_.dtype),
                       .decayed = kElements};
      return repeated(20, [&] { kernels_.optimizer().adamw({}, shard, 1, 1.0); });
    }));
  }

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
  result = trellis::profile::Profiler(request).run();
}
