#include "plan/plugin/manifest.h"

#include <algorithm>
#include <cctype>

#include "trellis/plan/options.h"

namespace trellis::plugin {
namespace {

// One of a few words.
std::string word(const Options& options, std::string_view key, std::string value,
                 const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
  options.reject(key, fmt::format("expected {}, found '{}'", fmt::join(allowed, " or "), value),
                 suggestion_hint(value, allowed, "allowed"));
}

PluginType type_of(const Options& options) {
  const std::string type =
      word(options, "type", options.required<std::string>("type"), {"parallelism", "models", "search"});
  if (type == "parallelism") return PluginType::parallelism;
  return type == "models" ? PluginType::models : PluginType::search;
}

std::string name_in(const Options& options) {
  std::string name = options.required<std::string>("name");
  const bool is_good = !name.empty() && std::islower(static_cast<unsigned char>(name.front())) &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (!is_good)
    options.reject("name", fmt::format("'{}' is not a plugin name", name),
                   "lower-case letters, digits and underscores, a letter first");
  return name;
}

std::filesystem::path library_in(const Options& options, std::string_view key, const std::string& name,
                                 const std::filesystem::path& folder) {
  if (name.empty()) options.reject(key, "expected the name of a file, found nothing");
  return (folder / name).lexically_normal();
}

std::string sha256_in(const Options& options, std::string_view key) {
  std::string hash = options.get(key, "");
  if (!options.has(key)) return hash;
  if (hash.size() != 64 || hash.find_first_not_of("0123456789abcdef") != std::string::npos)
    options.reject(key, fmt::format("expected 64 lower-case hex digits, found '{}'", hash),
                   "sha256sum FILE prints them");
  return hash;
}

}  // namespace

PluginManifest read_manifest(const std::filesystem::path& file) {
  const Options options = Options::from_file(file).with_owner("a plugin manifest");
  word(options, "apiVersion", options.required<std::string>("apiVersion"), {"trellis/v1"});
  word(options, "kind", options.required<std::string>("kind"), {"Plugin"});

  PluginManifest manifest;
  manifest.file = std::filesystem::absolute(file).lexically_normal();
  const std::filesystem::path folder = manifest.file.parent_path();
  manifest.type = type_of(options);
  manifest.name = name_in(options);
  manifest.version = options.required<std::string>("version");
  manifest.library = library_in(options, "library", options.required<std::string>("library"), folder);
  if (const auto run = options.find<std::string>("run_library"))
    manifest.run_library = library_in(options, "run_library", *run, folder);
  manifest.status = word(options, "status", options.get("status", "stable"), {"stable", "experimental", "example"});
  manifest.summary = options.get("summary", "");
  manifest.sha256 = sha256_in(options, "sha256");
  manifest.run_sha256 = sha256_in(options, "run_sha256");
  options.finish();
  return manifest;
}

}  // namespace trellis::plugin
