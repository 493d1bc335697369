// As many threads as a run has ranks on this machine, that measure together: they share caches and memory, in a run too,
// and communicate as there.
#pragma once

#include <barrier>
#include <functional>
#include <memory>
#include <vector>

#include "run/comm/thread_ranks.h"
#include "run/profile/pace.h"

namespace trellis::profile {

class RankTeam {
 public:
  using Barrier = std::barrier<>;
  // On the CPU; else a single rank whose pace is not known.
  RankTeam(int ranks, int threads, bool on_cpu);

  int ranks() const { return ranks_; }
  // Runs body(rank, barrier, world) on all ranks at once. A single rank runs on this thread, without a world.
  void run(const std::function<void(int, Barrier&, CommWorld*)>& body);
  // Within such a body, on all ranks: the pace that this one finds.
  double pace_now(int rank, Barrier&);

  // What a profile's times are told for; 0: not known yet, or not on the CPU.
  double pace() const { return pace_; }
  void set_pace(double seconds) { pace_ = seconds; }
  // Where nothing else has told it: the usual one of this moment.
  void find_pace();

  // Seconds that `time` returns on each rank: the mean, at the pace.
  double mean_time(const std::function<double()>& time);

 private:
  int ranks_, threads_;
  std::unique_ptr<ThreadRanks> world_;  // of several ranks
  std::vector<Pace> paces_;             // by rank
  double pace_ = 0;
};

double middle(std::vector<double> values);  // of one at the least

}  // namespace trellis::profile
