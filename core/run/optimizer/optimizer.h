// What an update does with flat shards, on one kind of device.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "run/optimizer/adamw.h"

namespace trellis {

// Stateless and thread-safe.
class TRELLIS_API Optimizer {
 public:
  virtual ~Optimizer();
  // As adamw_step.
  virtual void adamw(const AdamW&, const AdamWShard&, std::int64_t step, double gradient_scale) const = 0;
  // total[0] += the sum of squares, in an order that depends on the length only. `total`: f64, on the device of `flat`,
  // so that the sums of many shards are waited for once.
  virtual void add_squares(const at::Tensor& flat, const at::Tensor& total) const = 0;
};

std::shared_ptr<const Optimizer> make_cpu_optimizer();

}  // namespace trellis
