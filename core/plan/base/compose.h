// Several option trees into one: bases, then the file, then the command line.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "plan/base/yaml.h"

namespace trellis::yaml {

// Lays `over` over `base`: mappings key by key, anything else replaced, and so what a section
// says beside `use` where that names another plugin, but for the keys that belong to the run; see Options::load_run_file.
// A mapping with keys that exclude those of another form (random_crop, rope_scaling) is replaced where the form is another.
void merge(Node& base, const Node& over);

// The same with what the command line says, where null takes a key away. Error (usage) where there is none to take.
void override_with(Node& base, Node over);

// "key.path" and "value" in YAML, set in `root` for good: nothing is merged. `name` is the file of all marks.
void set_path(Node& root, std::string_view key_path, std::string_view value, const std::string& name);

// A file with its bases, `base:` taken out.
NodePtr load_with_bases(const std::filesystem::path& path);

// "key.path=value" each, as one tree.
NodePtr parse_overrides(std::span<const std::string> overrides);

}  // namespace trellis::yaml
