#include "run/profile/common_timer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "run/kernels/support.h"
#include "run/optimizer/optimizer.h"
#include "run/profile/kernel_timer.h"
#include "run/profile/layer_timer.h"
#include "run/profile/link_timer.h"

namespace trellis::profile {
namespace {

constexpr std::int64_t kElements = 1'000'000;
constexpr std::size_t kShards = 8;

}  // namespace

// Seconds of one call, over some repetitions.
double CommonTimer::repeated(std::size_t repetitions, const std::function<void()>& call) const {
  call();
  const auto sync = [&] {
    if (!device_.device().is_cpu()) at::zeros({1}, device_.dtype(at::kFloat)).item<float>();
  };
  sync();
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t r = 0; r < repetitions; ++r) call();
  sync();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(repetitions);
}

double CommonTimer::copy_bandwidth() const {
  constexpr std::int64_t kBytes = 16 << 20;
  const double seconds = team_.mean_time([&] {
    const at::Tensor from = at::zeros({kBytes / 4}, device_.dtype(at::kFloat)), to = at::zeros_like(from);
    return repeated(20, [&] { to.copy_(from); });
  });
  return 2 * static_cast<double>(kBytes) / seconds;
}

// Of a piece of a tensor into a new one: what redistributions do around their transfers. Sources take turns, as many as
// a core's caches have no room for.
TimedSizes CommonTimer::copies() const {
  constexpr std::int64_t kColumns = 128, kColdBytes = 16 << 20;
  std::map<Bytes, double> seconds;
  for (std::int64_t bytes = 8 << 10; bytes <= 32 << 20; bytes *= 4) {  // read and written
    const std::int64_t rows = bytes / 2 / 4 / kColumns;
    const auto sets = static_cast<std::size_t>(std::clamp<std::int64_t>(kColdBytes / bytes, 2, 64));
    seconds[Bytes{bytes}] = team_.mean_time([&] {
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

Picoseconds CommonTimer::launch() const {
  return from_seconds(team_.mean_time([&] {
    const at::Tensor a = at::zeros({64}, device_.dtype(at::kFloat)), b = at::zeros_like(a);
    return repeated(1000, [&] { at::add(a, b); });
  }));
}

// Shards take turns, more of them than a processor's caches have room for: an update finds them where the passes of a
// step have left them.
std::vector<AdamWShard> CommonTimer::shards() const {
  const Dtype full = gradient_dtype(dtype_);
  const auto zeros = [&](Dtype dtype) { return at::zeros({kElements}, device_.dtype(scalar_type(dtype))); };
  std::vector<AdamWShard> shards(kShards);
  for (AdamWShard& shard : shards)
    shard = {.parameter = zeros(full),
             .gradient = zeros(full),
             .first_moment = zeros(full),
             .second_moment = zeros(full),
             .compute = dtype_ == full ? at::Tensor() : zeros(dtype_),
             .decayed = kElements};
  return shards;
}

Picoseconds CommonTimer::adamw() const {
  return from_seconds(team_.mean_time([&] {
    auto all = shards();
    std::size_t next = 0;
    return repeated(3 * kShards, [&] { kernels_.optimizer().adamw({}, all[next++ % kShards], 1, 1.0); });
  }));
}

Picoseconds CommonTimer::norm() const {
  return from_seconds(team_.mean_time([&] {
    auto all = shards();
    const at::Tensor total = at::zeros({1}, device_.dtype(at::kDouble));
    std::size_t next = 0;
    return repeated(3 * kShards, [&] { kernels_.optimizer().add_squares(all[next++ % kShards].gradient, total); });
  }));
}

}  // namespace trellis::profile
