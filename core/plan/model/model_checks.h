// What every model must keep, whatever its family: tried by `trellis plugins check`, and on each model that is described.
#pragma once

#include <string>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"

namespace trellis::checks {

// What a layer yields the next one takes, and the last one has the loss. How not; empty where it is so.
TRELLIS_API std::string chain_problem(const ModelSpec&);
// Parameters of one global name have equal dims (roles and sizes) and begin alike, and layers of one type are equal. How
// not; empty where it is so.
TRELLIS_API std::string sharing_problem(const ModelSpec&);
// ModelSpec.vocab and .sequence, where layers have such dims. How they are wrong; empty where they are not.
TRELLIS_API std::string size_problem(const ModelSpec&);

}  // namespace trellis::checks
