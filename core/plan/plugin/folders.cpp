#include "plan/plugin/folders.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "trellis/plan/catalog.h"

namespace trellis {

namespace fs = std::filesystem;

fs::path own_plugin_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<const void*>(&own_plugin_folder), &info) || !info.dli_fname) return {};
  std::error_code ignored;
  const fs::path lib = fs::canonical(info.dli_fname, ignored).parent_path();
  for (const fs::path& folder : {lib / "trellis" / "plugins", lib.parent_path() / "plugins"})
    if (fs::is_directory(folder, ignored)) return folder;
  return {};
}

namespace plugin {
namespace {

constexpr const char* kVariable = "TRELLIS_PLUGIN_PATH";
constexpr int kLevels = 2;

std::vector<fs::path> split_path(std::string_view text) {
  std::vector<fs::path> result;
  while (!text.empty()) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    if (colon > 0) result.emplace_back(text.substr(0, colon));
    text.remove_prefix(std::min(colon + 1, text.size()));
  }
  return result;
}

void collect(const fs::path& folder, int levels, std::vector<fs::path>& found) {
  std::error_code error;
  if (fs::exists(folder / "plugin.yaml", error)) {
    found.push_back(folder / "plugin.yaml");
    return;
  }
  if (levels == 0) return;
  std::vector<fs::path> children;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error))
    if (std::error_code ignored; i->is_directory(ignored)) children.push_back(i->path());
  if (error) fail(ExitCode::io, "{}: cannot be searched for plugins: {}", folder.string(), error.message());
  std::sort(children.begin(), children.end());
  for (const fs::path& child : children) collect(child, levels - 1, found);
}

void add_once(std::vector<fs::path>& folders, const fs::path& folder) {
  if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
}

}  // namespace

std::vector<fs::path> existing_folders(std::span<const fs::path> folders, std::string_view origin) {
  std::vector<fs::path> result;
  for (const fs::path& folder : folders) {
    std::error_code error;
    const fs::path absolute = fs::canonical(folder, error);
    if (error || !fs::is_directory(absolute, error))
      throw Error(ExitCode::plugin, fmt::format("{}: there is no folder '{}'", origin, folder.string()),
                  "create it, or take it out of the list");
    add_once(result, absolute);
  }
  return result;
}

std::vector<fs::path> plugin_folders(std::span<const fs::path> first) {
  std::vector<fs::path> result = existing_folders(first, "plugin folders");
  if (const char* variable = std::getenv(kVariable))
    for (const fs::path& folder : existing_folders(split_path(variable), kVariable)) add_once(result, folder);
  if (const fs::path own = own_plugin_folder(); !own.empty()) add_once(result, fs::canonical(own));
  return result;
}

std::vector<fs::path> manifests_in(const fs::path& folder) {
  std::vector<fs::path> found;
  collect(folder, kLevels, found);
  return found;
}

}  // namespace plugin
}  // namespace trellis
