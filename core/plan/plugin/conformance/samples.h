// Small layers and device lines on which plugins are tried out.
#pragma once

#include <memory>
#include <vector>

#include "trellis/plan/model.h"

namespace trellis::conformance {

using Layers = std::vector<std::shared_ptr<const LayerSpec>>;

// An embedding, a decoder block with grouped heads, and a head with the loss, all of whose sizes divide by 2 and 3.
Layers divisible_layers();
// An embedding, a block with one head and a head, all of odd prime sizes, and a layer without sequence, heads, ffn or vocabulary.
Layers awkward_layers();
// Both.
Layers sample_layers();

std::vector<DeviceLine> sample_lines();  // 1, 2, 3, 2x2, 2x3 devices

}  // namespace trellis::conformance
