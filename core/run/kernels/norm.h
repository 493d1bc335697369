// Layer norm and RMS norm over the last dim: one set of loops, since the second is the first without the mean.
#pragma once

#include "run/kernels/support.h"

namespace trellis {

struct NormForward {
  Real real;
  const void *x, *weight, *bias;  // bias may be null
  void* y;
  void *mean, *rstd;  // stats type; mean is null for RMS norm
  std::int64_t rows, hidden;
  double eps;
};
void norm_forward(const NormForward&);

struct NormBackward {
  Real real;
  const void *dy, *x, *weight, *mean, *rstd;  // mean is null for RMS norm
  void* dx;                                   // may be null
  void *weight_gradient, *bias_gradient;      // gradient type, added to; may be null
  std::int64_t rows, hidden;
};
void norm_backward(const NormBackward&);

}  // namespace trellis
