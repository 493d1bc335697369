#include "run/train/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace trellis::train {

double learning_rate(const TrainSection& train, std::int64_t step) {
  if (step < train.warmup)
    return train.learning_rate * static_cast<double>(step + 1) / static_cast<double>(train.warmup);
  if (train.schedule == LearningRateSchedule::constant) return train.learning_rate;
  const std::int64_t falling = std::max<std::int64_t>(1, train.steps.value_or(1) - train.warmup);
  const double way = std::min(1.0, static_cast<double>(step - train.warmup + 1) / static_cast<double>(falling));
  const double share =
      train.schedule == LearningRateSchedule::linear ? 1 - way : 0.5 * (1 + std::cos(std::numbers::pi * way));
  return train.min_learning_rate + (train.learning_rate - train.min_learning_rate) * share;
}

}  // namespace trellis::train
