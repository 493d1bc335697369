#include "plan/base/compose.h"

#include <algorithm>

#include "plan/base/utf8.h"
#include "trellis/plan/files.h"

namespace trellis::yaml {
namespace {

bool is_another_plugin(const Node& base, const Node& over) {
  const Entry* old_use = base.find("use");
  const Entry* new_use = over.find("use");
  if (!old_use || !new_use) return false;
  const bool are_names = old_use->value->kind == Kind::scalar && new_use->value->kind == Kind::scalar;
  return !are_names || old_use->value->text != new_use->value->text;
}

// Mappings of one name with different keys: a crop of the padded image or one of a part, scaling of one type or another.
bool is_another_form(std::string_view key, const Node& base, const Node& over) {
  if (over.kind != Kind::map || base.kind != Kind::map || over.entries.empty()) return false;
  if (key == "random_crop") return (base.find("padding") != nullptr) != (over.find("padding") != nullptr);
  const Entry *old_type = base.find("type"), *new_type = over.find("type");
  return key == "rope_scaling" && old_type && new_type && old_type->value->text != new_type->value->text;
}

// Keys of a section that belong to the run, whatever `use` names there: of `data`, where both name text or both images.
std::vector<std::string_view> common_keys(std::string_view section, std::string_view old_use, std::string_view new_use) {
  if (section == "search")
    return {"batch", "tokens_per_step", "objective", "micro_batches", "stages", "schedules",
            "atoms", "budget", "margin", "fix", "forbid", "start_from"};
  if (section != "data") return {};
  const auto is_images = [](std::string_view use) { return use == "images" || use == "idx"; };
  if (is_images(old_use) != is_images(new_use)) return {"held_out"};
  if (is_images(new_use))
    return {"held_out", "preprocessor", "resize", "size", "resample", "rescale", "mean", "std", "random_crop", "flip"};
  return {"files", "sources", "format", "tokenizer", "end_of_document", "restart_positions", "held_out"};
}

// `section` with another `use`: of what was there only the common keys stay.
NodePtr replaced(const Node& section, const Entry& over) {
  NodePtr result = make_map(over.value->mark);
  const std::vector<std::string_view> common =
      common_keys(over.key, section.find("use")->value->text, over.value->find("use")->value->text);
  for (const Entry& entry : section.entries)
    if (std::ranges::count(common, entry.key) > 0) result->entries.push_back(entry);
  for (const Entry& entry : over.value->entries) {
    if (Entry* old = result->find(entry.key)) *old = entry;
    else result->entries.push_back(entry);
  }
  return result;
}

std::string joined(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// Takes the keys away that are nothing in `over`, from both.
void take_away(Node& base, Node& over, const std::string& path) {
  for (const Entry& entry : over.entries) {
    Entry* const old = base.find(entry.key);
    if (old && old->value->kind == Kind::map && entry.value->kind == Kind::map)
      take_away(*old->value, *entry.value, joined(path, entry.key));
    if (old || entry.value->kind != Kind::nothing) continue;
    std::vector<std::string> there;
    for (const Entry& other : base.entries) there.push_back(other.key);
    throw Error(ExitCode::usage,
                fmt::format("{}=null takes a key of the run file away, and it has none of that name",
                            joined(path, entry.key)),
                suggestion_hint(entry.key, there, "there are"), entry.mark);
  }
  std::erase_if(base.entries, [&](const Entry& entry) {
    const Entry* const said = over.find(entry.key);
    return said && said->value->kind == Kind::nothing;
  });
  std::erase_if(over.entries, [](const Entry& entry) { return entry.value->kind == Kind::nothing; });
}

// The command line has no places, so everything there is marked as a whole.
void mark_all(Node& node, const Mark& mark) {
  node.mark = mark;
  for (const NodePtr& item : node.items) mark_all(*item, mark);
  for (Entry& entry : node.entries) {
    entry.mark = mark;
    mark_all(*entry.value, mark);
  }
}

class Loader {
 public:
  // `named_at` is the `base:` entry that asks for the file, or null.
  NodePtr load(const std::filesystem::path& path, const Node* named_at) {
    std::error_code unresolved;  // reading will say what is wrong with it
    std::filesystem::path identity = std::filesystem::weakly_canonical(path, unresolved);
    if (unresolved) identity = path;
    const auto same = [&](const Open& open) { return open.identity == identity; };
    if (std::any_of(open_.begin(), open_.end(), same)) refuse_cycle(path, named_at->mark);
    open_.push_back({identity, path.string()});
    NodePtr file = parse_mapping(read(path, named_at), path.string());
    NodePtr result = merge_bases(*file, path);
    open_.pop_back();
    return result;
  }

 private:
  struct Open {
    std::filesystem::path identity;
    std::string name;
  };

  static std::string read(const std::filesystem::path& path, const Node* named_at) {
    try {
      return read_file(path);
    } catch (const Error& error) {
      if (!named_at) throw;
      throw Error(error.code(), "base: " + error.message(), error.hint(), named_at->mark);
    }
  }

  NodePtr merge_bases(Node& file, const std::filesystem::path& path) {
    NodePtr result = make_map(file.mark);
    if (const Entry* base = file.find("base")) {
      const NodePtr names = base->value;
      std::erase_if(file.entries, [](const Entry& entry) { return entry.key == "base"; });
      if (names->kind == Kind::list)
        for (const NodePtr& name : names->items) merge(*result, *load(resolve(*name, path), name.get()));
      else merge(*result, *load(resolve(*names, path), names.get()));
    }
    merge(*result, file);
    return result;
  }

  static std::filesystem::path resolve(const Node& name, const std::filesystem::path& file) {
    if (name.kind != Kind::scalar || name.text.empty())
      fail(name.mark, "base: expected the name of a file, found {}", describe(name));
    std::filesystem::path path = (file.parent_path() / name.text).lexically_normal();
    if (!path.has_extension()) path += ".yaml";
    return path;
  }

  [[noreturn]] void refuse_cycle(const std::filesystem::path& path, const Mark& mark) const {
    std::string chain;
    for (const Open& open : open_) chain += open.name + " -> ";
    throw Error(ExitCode::bad_input, "base: the files name each other in a circle", chain + path.string(), mark);
  }

  std::vector<Open> open_;
};

}  // namespace

void merge(Node& base, const Node& over) {
  if (base.kind != Kind::map || over.kind != Kind::map) {
    base = over;
    return;
  }
  // A mapping as a whole is blamed where it was written last; the command line is no place to look at.
  if (over.mark.line > 0) base.mark = over.mark;
  for (const Entry& entry : over.entries) {
    if (Entry* old = base.find(entry.key)) {
      old->mark = entry.mark;
      if (is_another_plugin(*old->value, *entry.value)) old->value = replaced(*old->value, entry);
      else if (is_another_form(entry.key, *old->value, *entry.value)) old->value = entry.value;
      else merge(*old->value, *entry.value);
    } else {
      base.entries.push_back(entry);
    }
  }
}

void set_path(Node& root, std::string_view key_path, std::string_view value, const std::string& name) {
  const Mark mark = {name, 0, 0};
  NodePtr parsed;
  try {
    parsed = parse(value, name);
  } catch (const Error& error) {
    throw Error(ExitCode::usage, fmt::format("{}={}: {}", key_path, value, error.message()), error.hint(), mark);
  }
  if (parsed->kind == Kind::nothing && value.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw Error(ExitCode::usage, fmt::format("{}= has no value", key_path), "an empty text is written '\"\"'", mark);
  mark_all(*parsed, mark);

  Node* map = &root;
  for (int depth = 1;; ++depth) {
    const std::size_t dot = key_path.find('.');
    const std::string key(key_path.substr(0, dot));
    if (key.empty())
      throw Error(ExitCode::usage, "an empty key in the path of an option", "write key.path=value", mark);
    if (depth > kMaxDepth) throw Error(ExitCode::usage, "a path with too many keys", {}, mark);
    Entry* entry = map->find(key);
    if (!entry) entry = &map->entries.emplace_back(Entry{key, mark, make_map(mark)});
    if (dot == std::string_view::npos) {
      entry->mark = mark;
      entry->value = std::move(parsed);
      return;
    }
    if (entry->value->kind != Kind::map) entry->value = make_map(mark);
    map = entry->value.get();
    key_path.remove_prefix(dot + 1);
  }
}

void override_with(Node& base, Node over) {
  take_away(base, over, "");
  merge(base, over);
}

NodePtr load_with_bases(const std::filesystem::path& path) { return Loader().load(path, nullptr); }

NodePtr parse_overrides(std::span<const std::string> overrides) {
  const std::string name = "command line";
  NodePtr root = make_map({name, 0, 0});
  for (const std::string& text : overrides) {
    check_text(text, name);
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw Error(ExitCode::usage, fmt::format("'{}' sets nothing", text), "write key.path=value", {name, 0, 0});
    set_path(*root, std::string_view(text).substr(0, equals), std::string_view(text).substr(equals + 1), name);
  }
  return root;
}

}  // namespace trellis::yaml
