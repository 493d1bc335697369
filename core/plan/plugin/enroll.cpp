#include "plan/plugin/enroll.h"

#include "trellis/plan/plugin.h"

namespace trellis::plugin {
namespace {

// Collects. Lives while enroll() runs only: a plugin that keeps the reference is wrong.
class Collector final : public Registrar {
 public:
  explicit Collector(Enrolled& enrolled) : enrolled_(enrolled) {}
  void add(std::shared_ptr<const Parallelism> object) override { keep(enrolled_.parallelisms, std::move(object)); }
  void add(std::shared_ptr<const ModelFamily> object) override { keep(enrolled_.families, std::move(object)); }
  void add(std::shared_ptr<const SearchAlgorithm> object) override { keep(enrolled_.searches, std::move(object)); }
  void add(std::shared_ptr<const OpContract> object) override { keep(enrolled_.ops, std::move(object)); }

 private:
  template <class T>
  static void keep(std::vector<std::shared_ptr<const T>>& objects, std::shared_ptr<const T> object) {
    if (!object) fail(ExitCode::plugin, "it registered a null pointer");
    objects.push_back(std::move(object));
  }

  Enrolled& enrolled_;
};

[[noreturn]] void refuse(const std::filesystem::path& library, const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::plugin, message, std::move(hint), {library.string(), 0, 0});
}

void check_info(const PluginInfo* info, const std::filesystem::path& library) {
  if (!info) refuse(library, "its trellis_plugin() returned null");
  if (info->abi != kPluginAbi)
    refuse(library, fmt::format("its plugin ABI is {}, expected {}", info->abi, kPluginAbi), "build the plugin again");
  if (!info->name || !info->version || !info->enroll)
    refuse(library, "its trellis_plugin() left out the name, the version or enroll");
}

// The types that a library registered, with the number of objects: "1 parallelism, 2 model".
std::string registered(const Enrolled& enrolled) {
  std::vector<std::string> words;
  const auto add = [&](std::size_t count, PluginType type) {
    if (count > 0) words.push_back(fmt::format("{} {}", count, noun_of(type)));
  };
  add(enrolled.parallelisms.size(), PluginType::parallelism);
  add(enrolled.families.size(), PluginType::models);
  add(enrolled.searches.size(), PluginType::search);
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

std::string title(const PluginManifest& manifest) {
  return fmt::format("{} '{}'", noun_of(manifest.type), manifest.name);
}

Enrolled enroll(const std::filesystem::path& library, const std::string& sha256,
                const std::filesystem::path& manifest) {
  using EntryPoint = const PluginInfo* (*)();
  const LibraryFile file = {library, sha256, TRELLIS_STRINGIFY(TRELLIS_FINGERPRINT), manifest};
  const auto entry_point = reinterpret_cast<EntryPoint>(load_library(file, "trellis_plugin"));

  Enrolled result;
  try {
    const PluginInfo* info = entry_point();
    check_info(info, library);
    result.name = info->name;
    result.version = info->version;
    Collector collector(result);
    info->enroll(collector);
  } catch (const Error& error) {
    if (error.code() == ExitCode::plugin && error.mark().file == library) throw;
    refuse(library, fmt::format("the plugin failed to register: {}", error.message()), error.hint());
  } catch (const std::exception& error) {
    refuse(library, fmt::format("the plugin failed to register: {}", error.what()));
  } catch (...) {
    refuse(library, "the plugin failed to register: it threw something that is not a std::exception");
  }
  return result;
}

std::optional<PluginType> type_of(const Enrolled& enrolled) {
  const std::size_t p = enrolled.parallelisms.size(), f = enrolled.families.size(), s = enrolled.searches.size();
  if (p + f + s != 1) return std::nullopt;
  if (p == 1) return PluginType::parallelism;
  return f == 1 ? PluginType::models : PluginType::search;
}

Enrolled enroll(const PluginManifest& manifest) {
  Enrolled result = enroll(manifest.library, manifest.sha256, manifest.file);
  const std::string file = manifest.file.string();
  if (result.name != manifest.name)
    refuse(manifest.library,
           fmt::format("the library says that it is '{}', its manifest that it is '{}'", result.name, manifest.name),
           fmt::format("make them equal: name in {}, or TRELLIS_PLUGIN(name, version) in the source", file));
  if (result.version != manifest.version)
    refuse(manifest.library,
           fmt::format("the library has version {}, its manifest says {}", result.version, manifest.version),
           fmt::format("make them equal: version in {}, or TRELLIS_PLUGIN(name, version) in the source", file));
  if (type_of(result) != manifest.type)
    refuse(manifest.library,
           fmt::format("expected it to register 1 {}, as its manifest says; it registered {}", noun_of(manifest.type),
                       registered(result)),
           fmt::format("change type in {}, or what the source registers", file));
  if (manifest.type == PluginType::parallelism) {
    const std::string name = result.parallelisms.front()->traits().name;
    if (name != manifest.name)
      refuse(manifest.library, fmt::format("its traits have the name '{}', its manifest has '{}'", name, manifest.name),
             "manifest: " + file);
  }
  return result;
}

}  // namespace trellis::plugin
