// How fast a processor is at the moment, by a piece of work that never changes. A machine that is shared goes at one speed
// for seconds or minutes and then at another, up to twice as slow: times of different moments compare only by what this
// work took then.
#pragma once

#include <ATen/core/Tensor.h>

#include "trellis/plan/export.h"

namespace trellis::profile {

// Of the thread that asks. Products and a sweep through memory, in about the shares of a training step.
class TRELLIS_API Pace {
 public:
  Pace();
  double seconds();  // what the work takes: a millisecond or two; asking takes some times that long

 private:
  at::Tensor left_, right_, product_, swept_;
};

}  // namespace trellis::profile
