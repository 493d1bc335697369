// From a plugin's library to the objects that it brings.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/plugin/library.h"
#include "trellis/plan/catalog.h"

namespace trellis::plugin {

// What one library registered.
struct Enrolled {
  std::string name, version;
  std::vector<std::shared_ptr<const Parallelism>> parallelisms;
  std::vector<std::shared_ptr<const ModelFamily>> families;
  std::vector<std::shared_ptr<const SearchAlgorithm>> searches;
  std::vector<std::shared_ptr<const OpContract>> ops;
};

// "parallelism 'tp'": how errors name a plugin.
TRELLIS_API std::string title(const PluginManifest& manifest);

// Loads any plugin library of this Trellis and lets it register. `manifest` is the file that names it, if one does.
// Throws Error (plugin).
TRELLIS_API Enrolled enroll(const std::filesystem::path& library, const std::string& sha256 = {},
                            const std::filesystem::path& manifest = {});

// The same for a plugin with a manifest: name and what was registered must be what the manifest says.
TRELLIS_API Enrolled enroll(const PluginManifest& manifest);

// The only type of which it registered exactly one object; nothing when there is no such type. Ops do not count.
TRELLIS_API std::optional<PluginType> type_of(const Enrolled& enrolled);

}  // namespace trellis::plugin
