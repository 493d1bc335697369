// trellis plugins list | show | check
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "host/plugins_check.h"
#include "host/verbs.h"
#include "trellis/plan/files.h"

namespace trellis::host {
namespace {

using nlohmann::json;

json to_json(const PluginManifest& plugin) {
  json result = {{"type", name_of(plugin.type)},      {"name", plugin.name},       {"version", plugin.version},
                 {"status", plugin.status},           {"summary", plugin.summary}, {"manifest", plugin.file.string()},
                 {"library", plugin.library.string()}};
  if (!plugin.run_library.empty()) result["run_library"] = plugin.run_library.string();
  return result;
}

void print_line(const PluginManifest& plugin, std::size_t name_width) {
  fmt::print("  {:<{}}  {:<8}  {:<12}  {}\n", plugin.name, name_width, plugin.version, plugin.status, plugin.summary);
}

ExitCode list(const Catalog& catalog, const std::string& json_file) {
  std::size_t width = 0;
  json entries = json::array();
  for (const PluginManifest& plugin : catalog.plugins()) {
    width = std::max(width, plugin.name.size());
    entries.push_back(to_json(plugin));
  }
  const PluginManifest* previous = nullptr;
  for (const PluginManifest& plugin : catalog.plugins()) {
    if (!previous || previous->type != plugin.type) fmt::print("{}{}\n", previous ? "\n" : "", name_of(plugin.type));
    print_line(plugin, width);
    previous = &plugin;
  }
  std::vector<std::string> folders;
  for (const auto& folder : catalog.folders()) folders.push_back(folder.string());
  if (!previous) fmt::print("no plugins\n");
  fmt::print("\nsearched: {}\n", folders.empty() ? "no folder" : fmt::format("{}", fmt::join(folders, ", ")));
  if (!json_file.empty())
    write_file_atomically(json_file, json{{"plugins", entries}, {"folders", folders}}.dump(2) + "\n");
  return ExitCode::success;
}

void print_traits(const Traits& traits) {
  fmt::print("  scope     {}\n  order     {}\n", traits.scope == Scope::layer ? "layer" : "model", traits.order);
  const auto print_words = [](std::string_view label, const std::vector<std::string>& words) {
    if (!words.empty()) fmt::print("  {:<8}  {}\n", label, fmt::join(words, ", "));
  };
  print_words("options", traits.options);
  print_words("values", traits.scalars);
  print_words("excludes", traits.excludes);
  print_words("requires", traits.requires_);
  if (traits.implied) fmt::print("  implied   in every layer\n");
}

// Loads the plugin, so that it also tells whether that works.
void show(const Catalog& catalog, const PluginManifest& plugin) {
  fmt::print("{} {} {}   {}\n  {}\n  manifest  {}\n  library   {}\n", noun_of(plugin.type), plugin.name, plugin.version,
             plugin.status, plugin.summary, plugin.file.string(), plugin.library.string());
  if (!plugin.run_library.empty()) fmt::print("  run       {}\n", plugin.run_library.string());
  switch (plugin.type) {
    case PluginType::parallelism:
      print_traits(catalog.parallelism(plugin.name)->traits());
      break;
    case PluginType::models:
      catalog.family(plugin.name);
      break;
    case PluginType::search:
      catalog.search(plugin.name);
      break;
  }
}

ExitCode show(const Catalog& catalog, const std::string& name, const std::string& json_file) {
  bool found = false;
  nlohmann::json json = nlohmann::json::array();
  std::vector<std::string> names;
  for (const PluginManifest& plugin : catalog.plugins()) {
    names.push_back(plugin.name);
    if (plugin.name != name) continue;
    show(catalog, plugin);
    json.push_back(to_json(plugin));
    found = true;
  }
  if (!found)
    throw Error(ExitCode::plugin, fmt::format("no plugin named '{}'", name), suggestion_hint(name, names, "found"));
  if (!json_file.empty()) write_file_atomically(json_file, json.dump(2) + "\n");
  return ExitCode::success;
}

}  // namespace

void add_plugins_verb(CLI::App& app, Context& context) {
  CLI::App* verb = app.add_subcommand("plugins", "What can be plugged in: dimensions, model families, searches.");
  verb->require_subcommand(1);

  auto text = std::make_shared<std::string>();
  CLI::App* list_verb = verb->add_subcommand("list", "All plugins found. Loads no code.");
  list_verb->add_option("--json", *text, "Also write the list to FILE")->type_name("FILE");
  list_verb->callback([&context, text] { context.work = [&context, text] { return list(context.catalog(), *text); }; });

  CLI::App* show_verb = verb->add_subcommand("show", "One plugin: where it is, what it says about itself.");
  show_verb->add_option("name", *text, "The plugin's name")->required();
  auto json = std::make_shared<std::string>();
  show_verb->add_option("--json", *json, "Also write it to FILE")->type_name("FILE");
  show_verb->callback([&context, text, json] { context.work = [&context, text, json] { return show(context.catalog(), *text, *json); }; });

  auto here = std::make_shared<bool>(false);
  CLI::App* check_verb =
      verb->add_subcommand("check", "Try the rules of its kind on a plugin, in a process of its own.");
  check_verb->add_option("plugin", *text, "A library, a plugin.yaml, a plugin's name, or a folder: of one plugin or of several")->required();
  check_verb->add_flag("--here", *here)->group("");  // what the process of its own is started with
  check_verb->add_option("--json", *json, "Also write each plugin's verdict to FILE")->type_name("FILE");
  check_verb->callback([&context, text, json, here] {
    context.work = [&context, text, json, here] {
      return *here ? examine_in_this_process(context, *text) : check_plugins(context, *text, *json);
    };
  });
}

}  // namespace trellis::host
