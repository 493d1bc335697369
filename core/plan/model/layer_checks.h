// What LayerBuilder checks about a layer, apart from the dims of each op's arguments.
#pragma once

#include <string>
#include <string_view>

#include "trellis/plan/model.h"

namespace trellis::checks {

// Names are there and differ; sizes are positive, except that of a batch dim, which comes with the micro-batch.
void check_dims(const LayerSpec&);

// The dim `name`, which an index expression needs in place of `dim`: another name of the same role and size.
DimId renamed(const LayerSpec&, std::string_view op, DimId dim, const std::string& name);

// Ops and parameters have names of their own, everything made is used, something leaves.
void check_layer(const LayerSpec&);

void drop_unused_dims(LayerSpec&);

}  // namespace trellis::checks
