// Folders of what verbs write.
#pragma once

#include <filesystem>

namespace trellis::host {

// Makes the folder that a file is to lie in, and those above it. Error (io) where that cannot be.
void make_parent(const std::filesystem::path& file);

}  // namespace trellis::host
