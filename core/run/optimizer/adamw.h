// AdamW over a flat shard in one pass: each number is read and written once.
//
// The formulas are torch.optim.AdamW's (decoupled decay, bias correction, no amsgrad).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trellis/plan/export.h"

namespace trellis {

struct AdamW {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

// One shard. All are flat, contiguous, of equal length, f32 or all f64; `compute` may be undefined, or bf16: the
// parameter rounded, which is written too.
struct AdamWShard {
  at::Tensor parameter, gradient, first_moment, second_moment, compute;
  std::int64_t decayed = 0;  // the first `decayed` elements decay, those behind them do not
};

// What a step's number makes of the settings.
struct TRELLIS_API AdamWFactors {
  AdamWFactors(const AdamW&, std::int64_t step);
  double decay, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_root, epsilon;
};
// Error where a shard or step is not as described.
TRELLIS_API void check_shard(const AdamWShard&, std::int64_t step);

// On the CPU. `step` counts from 1. The gradient is multiplied by `gradient_scale` (clipping); it is not changed.
TRELLIS_API void adamw_step(const AdamW&, const AdamWShard&, std::int64_t step, double gradient_scale);

// In double, by blocks of a fixed size in order: the result does not depend on the number of threads.
TRELLIS_API double sum_of_squares(const at::Tensor& flat);

}  // namespace trellis
