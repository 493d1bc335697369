#include "run/profile/link_timer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>

#include "run/profile/layer_timer.h"
#include "run/profile/pace.h"
#include "trellis/plan/error.h"
#include "trellis/run/comm.h"

namespace trellis::profile {
namespace {

// Bytes of the whole tensor.
constexpr std::int64_t kSizes[] = {1 << 10,   16 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10,
                                   1 << 20,   2 << 20,  4 << 20,  8 << 20,   16 << 20};

WorkPtr begin(Comm& comm, MoveKind kind, const at::Tensor& whole, const at::Tensor& other, const at::Tensor& part) {
  switch (kind) {
    case MoveKind::all_gather:
      return comm.all_gather(whole, part);
    case MoveKind::reduce_scatter:
      return comm.reduce_scatter(part, whole);
    case MoveKind::all_reduce:
      return comm.all_reduce(whole);
    case MoveKind::all_to_all:
      return comm.all_to_all(other, whole);
    default:
      return comm.rank() == 0 ? comm.send(whole, 1, 0) : comm.receive(whole, 0, 0);
  }
}

// What a rank does between two collectives of a step: a product, and data that leave its caches.
class Computing {
 public:
  void run() {
    at::mm_out(product_, left_, right_);
    swept_.add_(1);
  }

 private:
  at::Tensor left_ = at::zeros({256, 256}, at::kFloat), right_ = at::zeros({256, 512}, at::kFloat),
             product_ = at::zeros({256, 512}, at::kFloat), swept_ = at::zeros({1 << 20}, at::kFloat);
};

// Seconds of one collective, as this rank sees it in a step: no barrier before it, so that it also waits for the other
// ranks, which are a little earlier or later each time; its source just written, all else cold. The mean of all calls:
// in a step, too, some of them wait several times as long as most do.
double time_one(Comm& comm, MoveKind kind, std::int64_t bytes) {
  const std::int64_t count = bytes / 4 / comm.size() * comm.size();
  const at::Tensor origin = at::zeros({count}, at::kFloat);
  const at::Tensor whole = at::zeros({count}, at::kFloat), other = at::zeros({count}, at::kFloat);
  const at::Tensor part = at::zeros({count / comm.size()}, at::kFloat);
  Computing computing;
  const int repetitions = bytes <= (1 << 20) ? 20 : 3;  // of each round
  std::vector<double> times;
  comm.barrier();
  for (int r = 0; r < repetitions + 2; ++r) {
    computing.run();
    whole.copy_(origin), part.copy_(origin.narrow(0, 0, part.numel()));
    const auto start = std::chrono::steady_clock::now();
    begin(comm, kind, whole, other, part)->wait();
    if (r >= 2) times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return mean(times);
}

}  // namespace

namespace {

// Minimizes sum weight ((latency + bytes / bandwidth) / time - 1)^2: small and large messages count alike.
Link weighted_fit(const std::vector<std::pair<Bytes, double>>& times, const std::vector<double>& weights) {
  double ww = 0, wx = 0, xx = 0, w1 = 0, x1 = 0;
  double smallest = 1e30;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto& [bytes, seconds] = times[i];
    const double w = 1 / seconds, x = static_cast<double>(bytes.value) / seconds, weight = weights[i];
    ww += weight * w * w, wx += weight * w * x, xx += weight * x * x, w1 += weight * w, x1 += weight * x;
    smallest = std::min(smallest, seconds);
  }
  const double determinant = ww * xx - wx * wx;
  double latency = determinant > 0 ? (w1 * xx - x1 * wx) / determinant : smallest;
  double per_byte = determinant > 0 ? (ww * x1 - wx * w1) / determinant : 0;
  if (latency < 0) latency = 0, per_byte = x1 / xx;
  if (per_byte <= 0) latency = w1 / ww, per_byte = 0;
  return {from_seconds(latency), per_byte > 0 ? 1 / per_byte : 1e15};
}

}  // namespace

Link fit(const std::vector<std::pair<Bytes, double>>& times) {
  if (times.size() < 2 || std::ranges::all_of(times, [&](const auto& t) { return t.first == times.front().first; }))
    fail(ExitCode::bad_input, "{} times of a link: latency and bandwidth need those of two sizes at least", times.size());
  for (const auto& [bytes, seconds] : times)
    if (!(seconds > 0) || std::isinf(seconds))
      fail(ExitCode::bad_input, "a transfer of {} in {} s: expected a time of more than 0", bytes, seconds);
  std::vector<double> weights(times.size(), 1.0);
  Link link = weighted_fit(times, weights);
  // What something interrupted lies far off and counts for less (Huber's weights).
  for (int round = 0; round < 10; ++round) {
    std::vector<double> off;
    for (const auto& [bytes, seconds] : times) off.push_back(std::abs(to_seconds(link.time(bytes)) / seconds - 1));
    std::vector<double> sorted = off;
    std::ranges::sort(sorted);
    const double usual = std::max(1.5 * sorted[sorted.size() / 2], 1e-6);
    for (std::size_t i = 0; i < off.size(); ++i) weights[i] = off[i] <= usual ? 1 : usual / off[i];
    link = weighted_fit(times, weights);
  }
  return link;
}

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of computing and communicating at once, as one rank sees it.
double slowdown_of(Comm& comm) {
  constexpr int kRepetitions = 12, kProducts = 12;
  const at::Tensor tensor = at::zeros({1 << 20}, at::kFloat);
  Computing computing;
  const auto compute = [&] {
    for (int p = 0; p < kProducts; ++p) computing.run();
  };
  std::vector<double> alone, transfers, both;
  for (int r = 0; r <= kRepetitions; ++r) {
    comm.barrier();
    auto start = std::chrono::steady_clock::now();
    compute();
    alone.push_back(seconds_since(start));
    comm.barrier();
    start = std::chrono::steady_clock::now();
    comm.all_reduce(tensor)->wait();
    transfers.push_back(seconds_since(start));
    comm.barrier();
    start = std::chrono::steady_clock::now();
    const WorkPtr work = comm.all_reduce(tensor);
    compute();
    work->wait();
    both.push_back(seconds_since(start));
    if (r == 0) alone.clear(), transfers.clear(), both.clear();
  }
  const double a = typical(alone), t = typical(transfers);
  return std::clamp(1 + (typical(both) - std::max(a, t)) / std::min(a, t), 1.0, 2.0);
}

}  // namespace

double time_slowdown(int ranks) {
  std::mutex mutex;
  double sum = 0;
  run_threads(ranks, false, [&](CommWorld& world) {
    const double mine = slowdown_of(world.world());
    const std::lock_guard lock(mutex);
    sum += mine;
  });
  return sum / ranks;
}

Figure figure_of(const std::vector<double>& rounds) {
  Figure figure;
  for (const double seconds : rounds) figure.seconds += seconds / static_cast<double>(rounds.size());
  // Of the mean of n rounds, by the standard deviation of one.
  double squares = 0;
  for (const double seconds : rounds) squares += std::pow(seconds / figure.seconds - 1, 2);
  if (rounds.size() > 1) figure.spread = std::sqrt(squares / static_cast<double>(rounds.size() - 1));
  return figure;
}

TimedSizes rising(const std::map<Bytes, double>& seconds) {
  struct Block {
    double sum;
    std::vector<Bytes> sizes;
    double mean() const { return sum / static_cast<double>(sizes.size()); }
  };
  std::vector<Block> blocks;
  for (const auto& [bytes, time] : seconds) {
    blocks.push_back({time, {bytes}});
    while (blocks.size() > 1 && blocks.back().mean() < blocks[blocks.size() - 2].mean()) {
      Block& before = blocks[blocks.size() - 2];
      before.sum += blocks.back().sum;
      before.sizes.insert(before.sizes.end(), blocks.back().sizes.begin(), blocks.back().sizes.end());
      blocks.pop_back();
    }
  }
  TimedSizes result;
  for (const Block& block : blocks)
    for (const Bytes bytes : block.sizes) result.emplace_back(bytes, from_seconds(block.mean()));
  return result;
}

std::vector<LinkFit> time_links(int ranks, const MoveFigures& in_place, double pace) {
  constexpr int kRounds = 5;
  std::mutex mutex;
  std::map<MoveKind, std::map<Bytes, std::vector<double>>> rounds;  // by received bytes: the mean over the ranks
  std::vector<MoveKind> kinds{MoveKind::all_gather, MoveKind::all_to_all, MoveKind::all_reduce,
                              MoveKind::reduce_scatter};
  if (ranks == 2) kinds.push_back(MoveKind::send_recv);
  run_threads(ranks, false, [&](CommWorld& world) {
    std::vector<int> all(static_cast<std::size_t>(ranks));
    std::iota(all.begin(), all.end(), 0);
    world.create_groups({all});
    Comm& comm = world.group(all);
    Pace paces;
    const auto pace_now = [&] {
      comm.barrier();
      return paces.seconds();
    };
    double before = pace_now();
    for (int round = 0; round < kRounds; ++round)
      for (const MoveKind kind : kinds) {
        std::vector<double> times;
        for (const std::int64_t bytes : kSizes) times.push_back(time_one(comm, kind, bytes));
        const double after = pace_now(), factor = pace / ((before + after) / 2);
        before = after;
        const std::lock_guard lock(mutex);
        for (std::size_t s = 0; s < times.size(); ++s) {
          std::vector<double>& list = rounds[kind][received_bytes(kind, Bytes{kSizes[s]}, ranks)];
          list.resize(kRounds);
          list[static_cast<std::size_t>(round)] += factor * times[s] / ranks;
        }
      }
  });
  std::vector<LinkFit> fits;
  for (const auto& [kind, sizes] : rounds) {
    std::map<Bytes, double> seconds;
    std::vector<double> spreads;
    for (const auto& [bytes, list] : sizes) {
      const Figure figure = figure_of(list);
      seconds[bytes] = figure.seconds, spreads.push_back(figure.spread);
    }
    for (const auto& [what, figure] : in_place) {
      const auto& [moved, size, bytes] = what;
      if (moved == kind && size == ranks) seconds[bytes] = figure.seconds, spreads.push_back(figure.spread);
    }
    std::ranges::sort(spreads);
    LinkFit& fitted = fits.emplace_back();
    fitted = {.kind = kind,
              .ranks = ranks,
              .link = fit({seconds.begin(), seconds.end()}),
              .points = rising(seconds),
              .spread = spreads[spreads.size() / 2] / std::sqrt(kRounds)};  // of a mean of rounds
  }
  return fits;
}

}  // namespace trellis::profile
