// Folders of what is written.
#pragma once

#include <filesystem>

#include "trellis/plan/export.h"

namespace trellis {

// Makes the folder that a file is to lie in, and those above it. Error (io) where that cannot be.
TRELLIS_API void make_parent(const std::filesystem::path& file);

}  // namespace trellis
