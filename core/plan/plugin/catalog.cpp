#include "trellis/plan/catalog.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "plan/base/words.h"
#include "plan/plugin/enroll.h"
#include "plan/plugin/folders.h"
#include "plan/plugin/manifest.h"

namespace trellis {

std::string_view name_of(PluginType type) {
  switch (type) {
    case PluginType::parallelism:
      return "parallelism";
    case PluginType::models:
      return "models";
    case PluginType::search:
      break;
  }
  return "search";
}

std::string_view noun_of(PluginType type) { return type == PluginType::models ? "model" : name_of(type); }

struct Catalog::State {
  std::vector<std::filesystem::path> folders;
  std::vector<PluginManifest> plugins;
  std::mutex mutex;
  std::map<const PluginManifest*, plugin::Enrolled> loaded;  // guarded by mutex; values stay where they are

  explicit State(std::vector<std::filesystem::path> searched);
  const plugin::Enrolled& load(const PluginManifest& manifest);
  std::string found_hint(PluginType type, std::string_view wrong, const std::vector<std::string>& names) const;

  // In the order of `plugins`, so that it does not depend on who was asked for first.
  template <class Visit>
  void for_each_loaded(const Visit& visit) {
    const std::lock_guard lock(mutex);
    for (const PluginManifest& manifest : plugins)
      if (const auto found = loaded.find(&manifest); found != loaded.end()) visit(manifest, found->second);
  }
};

Catalog::State::State(std::vector<std::filesystem::path> searched) : folders(std::move(searched)) {
  std::vector<std::filesystem::path> files;
  for (const auto& folder : folders)
    for (const auto& file : plugin::manifests_in(folder)) files.push_back(std::filesystem::canonical(file));
  std::sort(files.begin(), files.end());  // a folder and one inside it may both be searched
  files.erase(std::unique(files.begin(), files.end()), files.end());

  for (const auto& file : files) plugins.push_back(plugin::read_manifest(file));
  std::stable_sort(plugins.begin(), plugins.end(), [](const PluginManifest& a, const PluginManifest& b) {
    return std::tie(a.type, a.name) < std::tie(b.type, b.name);
  });
  const auto twice = std::adjacent_find(plugins.begin(), plugins.end(), [](const auto& a, const auto& b) {
    return a.type == b.type && a.name == b.name;
  });
  if (twice == plugins.end()) return;
  throw Error(ExitCode::plugin, fmt::format("there are two plugins {}", plugin::title(*twice)),
              fmt::format("the other one: {}   rename one, or take one folder out", std::next(twice)->file.string()),
              {twice->file.string(), 0, 0});
}

const plugin::Enrolled& Catalog::State::load(const PluginManifest& manifest) {
  const std::lock_guard lock(mutex);
  if (const auto found = loaded.find(&manifest); found != loaded.end()) return found->second;
  return loaded.emplace(&manifest, plugin::enroll(manifest)).first->second;
}

std::string Catalog::State::found_hint(PluginType type, std::string_view wrong,
                                       const std::vector<std::string>& names) const {
  std::vector<std::string> paths;
  for (const auto& folder : folders)
    paths.push_back(folder.lexically_proximate(std::filesystem::current_path()).string());
  const std::string searched = fmt::format("(searched {}{}{})", number_of(std::ssize(paths), "folder"),
                                           paths.empty() ? "" : ": ", fmt::join(paths, ", "));
  if (names.empty()) return fmt::format("no {} plugin was found   {}", noun_of(type), searched);
  const std::string near = suggest(wrong, names);
  return fmt::format("{}found: {}   {}", near.empty() ? "" : fmt::format("did you mean '{}'?   ", near),
                     fmt::join(names, ", "), searched);
}

Catalog::Catalog(std::span<const std::filesystem::path> folders)
    : state_(std::make_shared<State>(plugin::plugin_folders(folders))) {}

Catalog::Catalog(std::shared_ptr<State> state) : state_(std::move(state)) {}

Catalog Catalog::of(std::span<const std::filesystem::path> folders) {
  return Catalog(std::make_shared<State>(plugin::existing_folders(folders, "plugin folders")));
}

const std::vector<PluginManifest>& Catalog::plugins() const { return state_->plugins; }
const std::vector<std::filesystem::path>& Catalog::folders() const { return state_->folders; }

std::vector<std::string> Catalog::names(PluginType type) const {
  std::vector<std::string> result;
  for (const PluginManifest& manifest : state_->plugins)
    if (manifest.type == type) result.push_back(manifest.name);
  return result;
}

const PluginManifest& Catalog::manifest(PluginType type, std::string_view name, const Mark& mark,
                                        std::string_view path) const {
  for (const PluginManifest& manifest : state_->plugins)
    if (manifest.type == type && manifest.name == name) return manifest;
  throw Error(ExitCode::plugin,
              fmt::format("{}{}no {} plugin named '{}'", path, path.empty() ? "" : ": ", noun_of(type), name),
              state_->found_hint(type, name, names(type)), mark);
}

std::shared_ptr<const Parallelism> Catalog::parallelism(std::string_view name, const Mark& mark,
                                                        std::string_view path) const {
  return state_->load(manifest(PluginType::parallelism, name, mark, path)).parallelisms.front();
}

std::shared_ptr<const ModelFamily> Catalog::family(std::string_view name, const Mark& mark,
                                                   std::string_view path) const {
  return state_->load(manifest(PluginType::models, name, mark, path)).families.front();
}

std::shared_ptr<const SearchAlgorithm> Catalog::search(std::string_view name, const Mark& mark,
                                                       std::string_view path) const {
  return state_->load(manifest(PluginType::search, name, mark, path)).searches.front();
}

Dimensions Catalog::dimensions() const {
  Dimensions result;
  for (const std::string& name : names(PluginType::parallelism)) result.push_back(parallelism(name));
  std::stable_sort(result.begin(), result.end(),
                   [](const auto& a, const auto& b) { return a->traits().order < b->traits().order; });
  return result;
}

void Catalog::load_ops(OpLibrary& library) const {
  state_->for_each_loaded([&](const PluginManifest& manifest, const plugin::Enrolled& enrolled) {
    for (const auto& op : enrolled.ops) {
      try {
        library.add(op);
      } catch (const Error& error) {
        throw Error(ExitCode::plugin, fmt::format("{}: {}", plugin::title(manifest), error.message()), error.hint(),
                    {manifest.library.string(), 0, 0});
      }
    }
  });
}

std::vector<RunLibrary> Catalog::run_libraries() const {
  std::vector<RunLibrary> result;
  state_->for_each_loaded([&](const PluginManifest& manifest, const plugin::Enrolled&) {
    if (!manifest.run_library.empty())
      result.push_back({plugin::title(manifest), manifest.run_library, manifest.run_sha256});
  });
  return result;
}

}  // namespace trellis
