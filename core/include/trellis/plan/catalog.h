// Which plugins there are, and their code once it is asked for. Everything that can vary is found here by name.
//
//   const Catalog catalog(folders_of_the_run_file);
//   const Dimensions dimensions = catalog.dimensions();
//   const auto family = catalog.family(model.required<std::string>("use"), model.mark("use"), model.path("use"));
//
// A plugin is a folder with a plugin.yaml (docs: manifest.h in core/plan/plugin) and its library. Making a catalog
// reads manifests only; a library is checked and loaded when its plugin is first asked for, and is never unloaded.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/export.h"
#include "trellis/plan/model_family.h"
#include "trellis/plan/op.h"
#include "trellis/plan/parallelism.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/search.h"

namespace trellis {

enum class PluginType { parallelism, models, search };
TRELLIS_API std::string_view name_of(PluginType);  // as in a manifest: "parallelism", "models", "search"
TRELLIS_API std::string_view noun_of(PluginType);  // as in a sentence: "parallelism", "model", "search"

// What a plugin.yaml says. Paths are absolute.
struct PluginManifest {
  PluginType type = PluginType::parallelism;
  std::string name;  // unique among the plugins of its type
  std::string version;
  std::string status;                 // stable, experimental or example
  std::string summary;                // one line
  std::filesystem::path file;         // the plugin.yaml itself
  std::filesystem::path library;      // contracts: what planning needs
  std::filesystem::path run_library;  // kernels of its ops; empty where there are none
  std::string sha256;                 // of library, 64 hex digits; empty: not checked
  std::string run_sha256;             // of run_library
};

// The library of a plugin that brings kernels; the run side loads it (core/plan/plugin/library.h).
struct RunLibrary {
  std::string plugin;  // "parallelism 'ring'"
  std::filesystem::path file;
  std::string sha256;
};

// Copies share what was loaded. Thread-safe. All errors are Error; those of a library have the code `plugin`.
class TRELLIS_API Catalog {
 public:
  // Scans `folders` (plugins.path of a run file), those in TRELLIS_PLUGIN_PATH (split at ':') and the folder that
  // belongs to this build or installation. A folder is searched for plugin.yaml, NAME/plugin.yaml and
  // KIND/NAME/plugin.yaml. Two plugins of one type and name are an error, wherever they are.
  explicit Catalog(std::span<const std::filesystem::path> folders = {});
  // Scans these folders and nothing else.
  static Catalog of(std::span<const std::filesystem::path> folders);

  const std::vector<PluginManifest>& plugins() const;         // by type, then name
  const std::vector<std::filesystem::path>& folders() const;  // those searched, in order
  std::vector<std::string> names(PluginType) const;

  // The manifest of a plugin. When there is none the error says what was found and where; `mark` and `path` (dotted:
  // "search.use") are where the user wrote the name.
  const PluginManifest& manifest(PluginType, std::string_view name, const Mark& mark = {},
                                 std::string_view path = {}) const;

  // These load the plugin's library the first time.
  std::shared_ptr<const Parallelism> parallelism(std::string_view name, const Mark& mark = {},
                                                 std::string_view path = {}) const;
  std::shared_ptr<const ModelFamily> family(std::string_view name, const Mark& mark = {},
                                            std::string_view path = {}) const;
  std::shared_ptr<const SearchAlgorithm> search(std::string_view name, const Mark& mark = {},
                                                std::string_view path = {}) const;

  // All parallelism plugins, loaded, by the order of their traits, then name.
  Dimensions dimensions() const;

  // The op contracts that plugins loaded so far brought.
  void load_ops(OpLibrary&) const;
  // The libraries with the kernels of those ops.
  std::vector<RunLibrary> run_libraries() const;

 private:
  struct State;
  explicit Catalog(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Where the plugins of this build or installation are: <lib>/trellis/plugins, or in a build tree <lib>/../plugins,
// <lib> being the folder of the core library. Empty when neither is there.
TRELLIS_API std::filesystem::path own_plugin_folder();

}  // namespace trellis
