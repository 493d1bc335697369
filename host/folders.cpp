#include "host/folders.h"

#include <system_error>

#include "trellis/plan/error.h"

namespace trellis::host {

void make_parent(const std::filesystem::path& file) {
  if (!file.has_parent_path()) return;
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) fail(ExitCode::io, "cannot make folder '{}': {}", file.parent_path().string(), error.message());
}

}  // namespace trellis::host
