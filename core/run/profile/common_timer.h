// Times what every plan has beside its kernels and collectives: copies, the fixed cost of a call, the optimizer.
#pragma once

#include "run/optimizer/adamw.h"
#include "run/profile/rank_team.h"
#include "trellis/plan/profile.h"
#include "trellis/run/kernel.h"

namespace trellis::profile {

class CommonTimer {
 public:
  CommonTimer(RankTeam& team, const KernelLibrary& kernels, at::TensorOptions device, Dtype dtype)
      : team_(team), kernels_(kernels), device_(device), dtype_(dtype) {}

  double copy_bandwidth() const;  // bytes read plus bytes written a second
  TimedSizes copies() const;      // by bytes read plus bytes written
  Picoseconds launch() const;
  Picoseconds adamw() const;  // of a million elements
  Picoseconds norm() const;   // of a million elements

 private:
  double repeated(std::size_t repetitions, const std::function<void()>& call) const;
  std::vector<AdamWShard> shards() const;

  RankTeam& team_;
  const KernelLibrary& kernels_;
  at::TensorOptions device_;
  Dtype dtype_;
};

}  // namespace trellis::profile
