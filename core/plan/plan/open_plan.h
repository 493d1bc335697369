// A plan file before its model is known.
#pragma once

#include <filesystem>

#include "trellis/plan/export.h"
#include "trellis/plan/options.h"

namespace trellis {

// Error (bad_input) where a document does not say that it is a plan: what it seems to be instead.
void expect_plan(const Options& document);

// The document of a plan file. Error where it cannot be read, or is no plan.
TRELLIS_API Options open_plan(const std::filesystem::path& file);

}  // namespace trellis
