#include "host/verbs.h"

namespace trellis::host {

Catalog Context::catalog() const { return Catalog(plugin_folders); }

Catalog Context::catalog(const Options& run_file) const {
  std::vector<std::filesystem::path> folders = plugin_folders;
  const Options section = run_file.section("plugins");
  const std::filesystem::path base = std::filesystem::path(section.mark("path").file).parent_path();
  for (const std::string& folder : section.get("path", std::vector<std::string>{})) {
    const std::filesystem::path path = base / folder;
    if (!std::filesystem::is_directory(path))
      section.reject("path", fmt::format("there is no folder '{}'", folder), "paths are relative to this file");
    folders.push_back(path);
  }
  return Catalog(folders);
}

}  // namespace trellis::host
