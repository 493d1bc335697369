// Times the kernels of a layer where they stand: the executor runs the layer's program, forward and backward, with
// nobody to communicate with. So a kernel finds in the caches what it finds there in a step, its outputs are allocated
// as in a step, and what the executor does around it counts, too.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "trellis/plan/cost.h"
#include "trellis/run/kernel.h"

namespace trellis::profile {

// Seconds of single calls, by compute_key().
using KernelTimes = std::map<std::string, std::vector<double>>;

class LayerTimer {
 public:
  // Takes the stage and the context of the measurement: a layer on its own, as alone() makes it. `alone_on_cores`: no
  // other thread of this process competes for its core, so that processor time is the time it takes, and what other
  // programs do to the wall clock is left out.
  LayerTimer(const Measurement&, const KernelLibrary&, const OpLibrary&, at::TensorOptions device, bool alone_on_cores);
  ~LayerTimer();

  // Forward of each set of parameters and activations, then backward of each, the last one first. Adds the times of the
  // kernels to `times`. Returns how many seconds it took.
  double run(KernelTimes& times);

 private:
  struct Set;
  struct Clock;
  void feed(Set&, const std::vector<SlotId>&, std::vector<at::Tensor>& sources);

  const Measurement& measurement_;
  at::TensorOptions device_;
  bool processor_time_;
  int runs_ = 0;
  std::unique_ptr<class SilentWorld> world_;
  std::unique_ptr<class AnyData> data_;
  std::vector<std::unique_ptr<Set>> sets_;
};

// What a sum of such calls is made of: their mean, with the calls that something interrupted left out.
double typical(std::vector<double> times);

}  // namespace trellis::profile
