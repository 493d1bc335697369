// The learning rate of each step.
#pragma once

#include <cstdint>

#include "trellis/plan/export.h"
#include "trellis/plan/run_file.h"

namespace trellis::train {

// Steps count from 0. During warm-up it rises by equal parts and reaches learning_rate in the last warm-up step; then
// it falls to min_learning_rate, which the last step has, along half a cosine or a line, or stays.
TRELLIS_API double learning_rate(const TrainSection& train, std::int64_t step);

}  // namespace trellis::train
