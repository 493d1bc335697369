// A plan that somebody wrote, or brought: what is wrong with it is told with its place in the file.
#pragma once

#include <filesystem>

#include "trellis/plan/export.h"
#include "trellis/plan/plan_file.h"

namespace trellis {

// compile() of the plan that was read from this file (empty: from none). Error (bad_input) with file and line, and with
// what the layer could have instead. Warns of a dimension that takes devices and splits nothing of a layer.
TRELLIS_API CompiledPlan compile_file(const Plan&, const ModelSpec&, const Dimensions&, const OpLibrary&, Dtype,
                                      const std::filesystem::path& file);

}  // namespace trellis
