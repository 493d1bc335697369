#include "run/profile/link_timer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <numeric>

#include "trellis/run/comm.h"

namespace trellis::profile {
namespace {

constexpr std::int64_t kSizes[] = {1 << 10, 16 << 10, 256 << 10,
                                   1 << 20, 4 << 20,  16 << 20};  // bytes of the whole tensor

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

// Median seconds of one collective, as this rank saw it.
double time_one(Comm& comm, MoveKind kind, std::int64_t bytes) {
  const std::int64_t count = bytes / 4 / comm.size() * comm.size();
  const at::Tensor whole = at::zeros({count}, at::kFloat), other = at::zeros({count}, at::kFloat);
  const at::Tensor part = at::zeros({count / comm.size()}, at::kFloat);
  const int repetitions = bytes <= (1 << 20) ? 30 : 8;
  std::vector<double> times;
  for (int r = 0; r < repetitions + 2; ++r) {
    comm.barrier();
    const auto start = std::chrono::steady_clock::now();
    begin(comm, kind, whole, other, part)->wait();
    if (r >= 2) times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace

Link fit(const std::vector<std::pair<Bytes, double>>& times) {
  // Minimizes sum ((latency + bytes / bandwidth) / time - 1)^2: small and large messages count alike.
  double ww = 0, wx = 0, xx = 0, w1 = 0, x1 = 0;
  double smallest = 1e30;
  for (const auto& [bytes, seconds] : times) {
    const double w = 1 / seconds, x = static_cast<double>(bytes.value) / seconds;
    ww += w * w, wx += w * x, xx += x * x, w1 += w, x1 += x;
    smallest = std::min(smallest, seconds);
  }
  const double determinant = ww * xx - wx * wx;
  double latency = determinant > 0 ? (w1 * xx - x1 * wx) / determinant : smallest;
  double per_byte = determinant > 0 ? (ww * x1 - wx * w1) / determinant : 0;
  if (latency < 0) latency = 0, per_byte = x1 / xx;
  if (per_byte <= 0) latency = w1 / ww, per_byte = 0;
  return {from_seconds(latency), per_byte > 0 ? 1 / per_byte : 1e15};
}

std::vector<LinkFit> time_links(int ranks) {
  std::mutex mutex;
  std::map<MoveKind, std::map<std::int64_t, double>> slowest;  // by whole bytes, over the ranks
  std::vector<MoveKind> kinds{MoveKind::all_gather, MoveKind::all_to_all, MoveKind::all_reduce,
                              MoveKind::reduce_scatter};
  if (ranks == 2) kinds.push_back(MoveKind::send_recv);
  run_threads(ranks, false, [&](CommWorld& world) {
    std::vector<int> all(static_cast<std::size_t>(ranks));
    std::iota(all.begin(), all.end(), 0);
    world.create_groups({all});
    Comm& comm = world.group(all);
    for (const MoveKind kind : kinds)
      for (const std::int64_t bytes : kSizes) {
        const double mine = time_one(comm, kind, bytes);
        const std::lock_guard lock(mutex);
        double& seconds = slowest[kind][bytes];
        seconds = std::max(seconds, mine);
      }
  });
  std::vector<LinkFit> fits;
  for (const auto& [kind, times] : slowest) {
    std::vector<std::pair<Bytes, double>> points;
    for (const auto& [bytes, seconds] : times) points.emplace_back(received_bytes(kind, Bytes{bytes}, ranks), seconds);
    fits.push_back({.kind = kind, .ranks = ranks, .link = fit(points)});
  }
  return fits;
}

}  // namespace trellis::profile
