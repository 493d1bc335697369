// Where a test finds the files of the repository and of its own build.
#pragma once

#include <filesystem>

namespace trellis::testing {

std::filesystem::path source_dir();  // the repository's root
std::filesystem::path build_dir();   // the build folder: bin/, lib/, plugins/

}  // namespace trellis::testing
