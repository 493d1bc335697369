#include "support/paths.h"

namespace trellis::testing {

std::filesystem::path source_dir() { return TRELLIS_SOURCE_DIR; }
std::filesystem::path build_dir() { return TRELLIS_BUILD_DIR; }

}  // namespace trellis::testing
