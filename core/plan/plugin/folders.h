// Which folders hold plugins, and the manifests in them.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace trellis::plugin {

// `first`, then TRELLIS_PLUGIN_PATH, then the own folder. A folder that a user named and that is not there is an Error.
std::vector<std::filesystem::path> plugin_folders(std::span<const std::filesystem::path> first);

// Folders as absolute paths without links, each once. Throws Error for one that is not there; `origin` says who named
// it.
std::vector<std::filesystem::path> existing_folders(std::span<const std::filesystem::path> folders,
                                                    std::string_view origin);

// Every plugin.yaml in the folder itself, one level below and two levels below, sorted. Not below a plugin's own
// folder.
std::vector<std::filesystem::path> manifests_in(const std::filesystem::path& folder);

}  // namespace trellis::plugin
