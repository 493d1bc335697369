// How well a plan uses its devices: what the model computes, by what devices could.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/planning.h"

namespace trellis::host {

struct Utilization {
  double tokens_per_second = 0;      // 0: samples of this model have no tokens
  double flops_per_second = 0;       // of one device: forward and backward of the model, nothing twice, no padding
  std::optional<double> of_peak;     // MFU: of the described peak in the run's dtype; nothing where no cluster is named
};
Utilization utilization_of(const Planning&, double samples_per_second);

// "53.2e3 tokens/s, 401.3 TFLOP/s a device, 40.6 % of its peak (MFU)"
std::string to_string(const Utilization&);
// tokens_per_second, flops_per_device, mfu; null where unknown
void add_utilization(nlohmann::json&, const std::optional<Utilization>&);

}  // namespace trellis::host
