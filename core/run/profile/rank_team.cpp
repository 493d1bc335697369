#include "run/profile/rank_team.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "run/kernels/machine.h"
#include "run/profile/layer_timer.h"

namespace trellis::profile {

RankTeam::RankTeam(int ranks, int threads, bool on_cpu) : ranks_(ranks), threads_(threads) {
  if (ranks_ > 1) world_ = std::make_unique<ThreadRanks>(ranks_, false);
  if (on_cpu) paces_.resize(static_cast<std::size_t>(ranks_));
}

void RankTeam::run(const std::function<void(int, Barrier&, CommWorld*)>& body) {
  Barrier barrier(ranks_);
  if (!world_) return body(0, barrier, nullptr);
  world_->run([&](CommWorld& world) {
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

double RankTeam::pace_now(int rank, Barrier& barrier) {
  if (paces_.empty()) return 0;
  barrier.arrive_and_wait();
  return paces_[static_cast<std::size_t>(rank)].seconds();
}

void RankTeam::find_pace() {
  if (paces_.empty() || pace_ > 0) return;
  std::vector<double> usual(paces_.size());
  run([&](int rank, Barrier& barrier, CommWorld*) {
    std::vector<double> found;
    for (int n = 0; n < 30; ++n) found.push_back(pace_now(rank, barrier));
    usual[static_cast<std::size_t>(rank)] = middle(std::move(found));
  });
  pace_ = mean(usual);
}

double RankTeam::mean_time(const std::function<double()>& time) {
  std::vector<double> seconds(static_cast<std::size_t>(ranks_)), paces(seconds.size());
  run([&](int rank, Barrier& barrier, CommWorld*) {
    const auto r = static_cast<std::size_t>(rank);
    paces[r] = pace_now(rank, barrier) / 2;
    seconds[r] = time();
    paces[r] += pace_now(rank, barrier) / 2;
  });
  return mean(seconds) * (paces_.empty() ? 1 : pace_ / mean(paces));
}

double middle(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

}  // namespace trellis::profile
