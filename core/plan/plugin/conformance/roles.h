// Whether a dimension splits anything: a misspelt role is one that no layer has, and splits nothing.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "trellis/plan/catalog.h"
#include "trellis/plan/export.h"
#include "trellis/plan/parallelism.h"
#include "trellis/plan/plan_file.h"

namespace trellis::conformance {

// The roles of the sample layers, and of the layers of every family found. Nothing where a family describes no model
// without options: what it would have is not known.
TRELLIS_API std::optional<std::set<std::string>> known_roles(const Catalog&);

// A role that the dimension splits in some setting and that is not known, in words; empty where there is none.
TRELLIS_API std::string unknown_role(const Parallelism&, const std::set<std::string>& known);

// The model's own roles that no dimension splits, each in words: perhaps misspelt, perhaps meant.
TRELLIS_API std::vector<std::string> unsplit_roles(const ModelSpec&, const Dimensions&);

}  // namespace trellis::conformance
