#include "host/plugins_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "data/samples/suits.h"
#include "host/child.h"
#include "plan/plugin/conformance/conformance.h"
#include "plan/plugin/folders.h"
#include "plan/plugin/manifest.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLimitSeconds = 120;

// The manifest beside a library that names it; empty where there is none.
fs::path manifest_of(const fs::path& library) {
  const fs::path manifest = library.parent_path() / "plugin.yaml";
  if (!fs::exists(manifest)) return {};
  return plugin::read_manifest(manifest).library == library.lexically_normal() ? manifest : fs::path();
}

bool is_path(const std::string& target) {
  return target.find('/') != std::string::npos || target == "." || target == ".." || target.ends_with(".so") || target.ends_with(".yaml");
}

// The libraries or manifests to check. A plugin that was found comes before a folder of its name, which may be its source.
std::vector<fs::path> files_of(const Context& context, const std::string& target) {
  const fs::path path = fs::absolute(target);
  std::vector<fs::path> files;
  std::vector<std::string> names;
  const Catalog catalog = context.catalog();
  if (!is_path(target))
    for (const PluginManifest& plugin : catalog.plugins()) {
      names.push_back(plugin.name);
      if (plugin.name == target) files.push_back(plugin.file);
    }
  if (!files.empty()) return files;
  if (fs::is_directory(path)) {
    std::vector<fs::path> below = plugin::manifests_in(path);
    if (below.empty())
      throw Error(ExitCode::io, fmt::format("there is no plugin.yaml in '{}', nor in folders in it", target),
                  "a plugin is a folder with its library and its plugin.yaml");
    return below;
  }
  if (fs::exists(path)) return {path};
  if (is_path(target)) fail(ExitCode::io, "there is no file '{}'", target);
  if (files.empty()) {
    std::vector<std::string> folders;
    for (const fs::path& folder : catalog.folders()) folders.push_back(folder.string());
    throw Error(ExitCode::plugin, fmt::format("no file and no plugin named '{}'", target),
                fmt::format("{}   searched: {}; --plugins FOLDER adds one", suggestion_hint(target, names, "found"),
                            fmt::join(folders, ", ")));
  }
  return files;
}

int examine_in_child(const Context& context, const fs::path& file) {
  std::vector<std::string> words;
  for (const fs::path& folder : context.plugin_folders) words.insert(words.end(), {"--plugins", folder.string()});
  words.insert(words.end(), {"plugins", "check", "--here", file.string()});
  return run_child(words);
}

// True when the child found nothing.
bool check(const Context& context, const fs::path& file) {
  fmt::print("{}\n", file.string());
  const int status = examine_in_child(context, file);
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGALRM) fmt::print("\n  it did not end within {} s\n", kLimitSeconds);
    else fmt::print("\n  it crashed: {} (signal {})\n", strsignal(signal), signal);
    return false;
  }
  const int code = WEXITSTATUS(status);
  if (code != static_cast<int>(ExitCode::success) && code != static_cast<int>(ExitCode::plugin))
    fmt::print("\n  it ended the process with code {}\n", code);
  return code == static_cast<int>(ExitCode::success);
}

}  // namespace

ExitCode check_plugins(const Context& context, const std::string& target, const std::string& json_file) {
  try_writing(json_file);
  bool passed = true;
  nlohmann::json json = nlohmann::json::array();
  for (const fs::path& file : files_of(context, target)) {
    const bool good = check(context, file);
    json.push_back({{"file", file.string()}, {"passed", good}});
    passed = passed && good;
  }
  fmt::print("{}\n", passed ? "passed" : "failed");
  if (!json_file.empty()) write_file_atomically(json_file, json.dump(2) + "\n");
  return passed ? ExitCode::success : ExitCode::plugin;
}

ExitCode examine_in_this_process(const Context& context, const std::string& file) {
  alarm(kLimitSeconds);  // its default action ends the process, whatever the plugin is stuck in
  conformance::Examination exam([](const conformance::Finding& finding, bool is_done) {
    if (!is_done) fmt::print("  {:<75} ", finding.rule);
    else if (finding.broken.empty()) fmt::print("ok\n");
    else fmt::print("BROKEN\n      {}\n", finding.broken);
    std::fflush(stdout);  // a crash must not take the rule's name with it
  });
  const fs::path path = file;
  plugin::Enrolled enrolled;
  const bool loaded = exam.rule("it can be loaded and registers", [&] {
    const fs::path manifest = path.filename() == "plugin.yaml" ? path : manifest_of(path);
    enrolled = manifest.empty() ? plugin::enroll(path) : plugin::enroll(plugin::read_manifest(manifest));
    return "";
  });
  if (loaded) conformance::examine(enrolled, context.catalog(), exam);
  if (exam.passed())
    for (const auto& family : enrolled.families)
      for (std::string& note : data::unknown_fields(family->describe(Options::empty()))) exam.note(std::move(note));
  for (const std::string& note : exam.notes()) fmt::print("  note: {}\n", note);
  return exam.passed() ? ExitCode::success : ExitCode::plugin;
}

}  // namespace trellis::host
