#include "plan/run/text_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

namespace trellis::data {
namespace {

namespace fs = std::filesystem;
using Parts = std::vector<std::string>;

bool is_pattern(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

[[noreturn]] void reject(const Mark& mark, const std::string& message, std::string hint = {}) {
  throw Error(ExitCode::io, "data.files: " + message, std::move(hint), mark);
}

// All files below a folder, by name. Links to folders are not followed: they may lead back.
std::vector<fs::path> files_below(const fs::path& folder, const Mark& mark) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error)) {
    const bool hidden = it->path().filename().string().starts_with('.');
    if (hidden && it->is_directory()) it.disable_recursion_pending();
    if (!hidden && it->is_regular_file()) files.push_back(it->path());
  }
  if (error) reject(mark, fmt::format("cannot read folder '{}': {}", folder.string(), error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

bool matches(const Parts& pattern, std::size_t p, const Parts& name, std::size_t n) {
  if (p == pattern.size()) return n == name.size();
  if (pattern[p] == "**")
    return matches(pattern, p + 1, name, n) || (n < name.size() && matches(pattern, p, name, n + 1));
  return n < name.size() && ::fnmatch(pattern[p].c_str(), name[n].c_str(), FNM_PERIOD) == 0 &&
         matches(pattern, p + 1, name, n + 1);
}

Parts parts_of(const fs::path& path) {
  Parts parts;
  for (const fs::path& part : path) parts.push_back(part.string());
  return parts;
}

std::vector<fs::path> files_like(const fs::path& entry, const Mark& mark) {
  fs::path root, pattern;
  for (const fs::path& part : entry) {
    fs::path& side = pattern.empty() && !is_pattern(part.string()) ? root : pattern;
    side /= part;
  }
  if (root.empty()) root = ".";
  if (!fs::is_directory(root))
    reject(mark, fmt::format("'{}' is no folder, so '{}' names nothing", root.string(), entry.string()));
  const Parts wanted = parts_of(pattern);
  std::vector<fs::path> files;
  for (const fs::path& file : files_below(root, mark))
    if (matches(wanted, 0, parts_of(file.lexically_relative(root)), 0)) files.push_back(file.lexically_normal());
  return files;
}

std::vector<fs::path> files_of(const std::string& entry, const Mark& mark) {
  if (fs::is_directory(entry)) return files_below(entry, mark);
  if (fs::exists(entry)) return {entry};
  if (!is_pattern(entry))
    reject(mark, fmt::format("there is no file or folder '{}'", entry),
           "a path in a run file is relative to that file");
  return files_like(entry, mark);
}

}  // namespace

std::vector<fs::path> find_files(const std::vector<std::string>& entries, const Mark& mark) {
  if (entries.empty())
    throw Error(ExitCode::bad_input, "data.files: no text is named",
                "write data: {files: [README.md, docs, src/**/*.txt]}", mark);
  std::vector<fs::path> result;
  std::set<fs::path> seen;
  for (const std::string& entry : entries) {
    const std::vector<fs::path> files = files_of(entry, mark);
    if (files.empty()) reject(mark, fmt::format("'{}' names no file", entry), "hidden files do not count");
    for (const fs::path& file : files)
      if (seen.insert(fs::weakly_canonical(file)).second) result.push_back(file);
  }
  return result;
}

}  // namespace trellis::data
