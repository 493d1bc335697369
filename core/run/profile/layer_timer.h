// Times the kernels and collectives of a layer where they stand: the executor runs the layer's program, forward and
// backward, with the other ranks of its line where there are so many. So a kernel finds in the caches what it finds
// there in a step, its outputs are allocated as in a step, what the executor does around it counts, too, and a
// collective waits for ranks that are late as in a step.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "run/profile/timed_world.h"
#include "trellis/plan/cost.h"
#include "trellis/run/kernel.h"

namespace trellis::profile {

// Seconds of single calls, by compute_key().
using KernelTimes = std::map<std::string, std::vector<double>>;

// What a layer takes.
struct LayerTimes {
  KernelTimes kernels;
  MoveTimes moves;             // those that nothing hides
  std::vector<double> passes;  // wall time of forward and backward together
};

class LayerTimer {
 public:
  // Takes the stage and the context of the measurement: a layer on its own, as alone() makes it. `alone_on_cores`: no
  // other thread of this process competes for its core, so that processor time is the time that a kernel takes, and what
  // other programs do to the wall clock is left out. `world`: of all ranks, each of which makes a timer and runs it
  // equally often; without one, or where the layer's line is longer, there is nobody to communicate with.
  LayerTimer(const Measurement&, const KernelLibrary&, const OpLibrary&, at::TensorOptions device, bool alone_on_cores,
             CommWorld* world = nullptr);
  ~LayerTimer();

  // Forward of each set of parameters and activations, then backward of each, the last one first. Adds what it took.
  // Returns how many seconds that were.
  double run(LayerTimes& times);

 private:
  struct Set;
  struct Clock;
  void feed(Set&, const std::vector<SlotId>&, std::vector<at::Tensor>& sources);

  const Measurement& measurement_;
  at::TensorOptions device_;
  bool processor_time_;
  int runs_ = 0;
  std::unique_ptr<class SilentWorld> silent_;
  std::unique_ptr<TimedWorld> world_;
  std::unique_ptr<class AnyData> data_;
  std::vector<std::unique_ptr<Set>> sets_;
};

double mean(const std::vector<double>& times);  // 0 of none
// What a sum of calls that wait for nobody is made of: their mean, without those that something interrupted.
double typical(std::vector<double> times);

}  // namespace trellis::profile
