#include <fmt/format.h>

#include <charconv>

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
      section.reject("path", fmt::format("there is no folder '{}'", folder), "a path in a file is relative to that file, one on the command line to the current folder");
    folders.push_back(path);
  }
  return Catalog(folders);
}

CLI::Validator at_least_one() {
  return CLI::Validator(
      [](std::string& text) {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool is_number = error == std::errc() && end == text.data() + text.size();
        return is_number && value >= 1 ? std::string() : fmt::format("expected 1 or more, found {}", text);
      },
      "");
}

void refuse_parallelism(const std::string& what, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides)
    if (text.starts_with("parallelism.") || text.starts_with("parallelism="))
      throw Error(ExitCode::usage, fmt::format("{} and '{}' contradict each other", what, text),
                  "the plan says how every layer is spread: change it there, or leave it out");
}

}  // namespace trellis::host
