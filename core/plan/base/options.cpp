#include "trellis/plan/options.h"

#include <algorithm>

#include "plan/base/compose.h"
#include "plan/base/options_state.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

[[noreturn]] void reject_type(const yaml::Node& found, const std::string& path, std::string_view expected) {
  fail(found.mark, "{}: expected {}, found {}", path, expected, describe(found));
}

}  // namespace

// --- the record of what was read ---

const yaml::Node* Options::State::look(std::string_view key) {
  if (std::find(asked.begin(), asked.end(), key) == asked.end()) asked.emplace_back(key);
  const yaml::Entry* entry = std::as_const(*node).find(key);
  return entry ? entry->value.get() : nullptr;
}

const yaml::Node* Options::State::read(std::string_view key) {
  const yaml::Node* value = look(key);
  if (value) was_read.emplace(key);
  return value;
}

std::string Options::State::path_of(std::string_view key) const {
  if (path.empty()) return std::string(key);
  return key.empty() ? path : fmt::format("{}.{}", path, key);
}

void Options::State::finish() const {
  for (const yaml::Entry& entry : node->entries) {
    if (!was_read.contains(entry.key)) {
      std::vector<std::string> known = asked;
      std::erase(known, entry.key);  // somebody looked whether it is there, and did not want it
      const std::string of_owner = owner.empty() ? "" : " of " + owner;
      throw Error(ExitCode::bad_input, fmt::format("{}: unknown option{}", path_of(entry.key), of_owner),
                  suggestion_hint(entry.key, known, "known"), entry.mark);
    }
    if (const auto found = opened.find(entry.key); found != opened.end())
      for (const auto& inner : found->second) inner->finish();
  }
}

// --- making ---

Options::Options(std::shared_ptr<State> state) : state_(std::move(state)) {}
Options::Options(const Options&) = default;
Options::Options(Options&&) noexcept = default;
Options& Options::operator=(const Options&) = default;
Options& Options::operator=(Options&&) noexcept = default;
Options::~Options() = default;

Options Options::from_file(const std::filesystem::path& path) { return from_text(read_file(path), path.string()); }

Options Options::from_text(std::string_view text, std::string name) {
  return Options(std::make_shared<State>(yaml::parse_mapping(text, name), ""));
}

Options Options::empty(std::string name) {
  return Options(std::make_shared<State>(yaml::make_map({std::move(name), 0, 0}), ""));
}

Options Options::load_run_file(const std::filesystem::path& path, std::span<const std::string> overrides) {
  const yaml::NodePtr from_command_line = yaml::parse_overrides(overrides);
  yaml::NodePtr root = yaml::load_with_bases(path);
  override_with(*root, *from_command_line);
  return Options(std::make_shared<State>(std::move(root), ""));
}

// --- reading ---

std::string Options::get(std::string_view key, const char* default_value) const {
  return get<std::string>(key, default_value);
}

std::string Options::raw(std::string_view key) const {
  const yaml::Node* value = state_->read(key);
  if (!value) reject_missing(key);
  if (value->kind != yaml::Kind::scalar) reject_type(*value, path(key), "a single value");
  return value->text;
}

Options Options::section(std::string_view key) const {
  const yaml::Node* value = state_->read(key);
  // A key with all its options commented out is an empty mapping.
  const bool is_empty = !value || value->kind == yaml::Kind::nothing;
  if (!is_empty && value->kind != yaml::Kind::map) reject_type(*value, path(key), "a mapping");
  auto& states = state_->opened.try_emplace(std::string(key)).first->second;
  if (states.empty()) {
    const yaml::Entry* entry = state_->node->find(key);
    states.push_back(std::make_shared<State>(is_empty ? yaml::make_map(mark(key)) : entry->value, path(key)));
  }
  return Options(states.front());
}

std::vector<Options> Options::list(std::string_view key) const {
  const yaml::Node* value = state_->read(key);
  if (!value || value->kind == yaml::Kind::nothing) return {};
  if (value->kind != yaml::Kind::list) reject_type(*value, path(key), "a list of mappings");
  auto& states = state_->opened.try_emplace(std::string(key)).first->second;
  if (states.empty()) {
    for (const yaml::NodePtr& item : value->items) {
      const std::string item_path = fmt::format("{}[{}]", path(key), states.size());
      if (item->kind != yaml::Kind::map) reject_type(*item, item_path, "a mapping");
      states.push_back(std::make_shared<State>(item, item_path));
    }
  }
  std::vector<Options> result;
  for (const auto& state : states) result.push_back(Options(state));
  return result;
}

std::vector<Options> Options::list(std::string_view key, std::string_view word_means) const {
  const yaml::Node* value = state_->read(key);
  if (!value || value->kind == yaml::Kind::nothing) return {};
  auto& states = state_->opened.try_emplace(std::string(key)).first->second;
  if (states.empty()) {
    const bool alone = value->kind != yaml::Kind::list;
    const auto add = [&](const yaml::NodePtr& item) {
      const std::string item_path = alone ? path(key) : fmt::format("{}[{}]", path(key), states.size());
      yaml::NodePtr map = item;
      if (item->kind == yaml::Kind::scalar) {
        map = yaml::make_map(item->mark);
        auto meaning = std::make_shared<yaml::Node>();
        meaning->kind = yaml::Kind::scalar, meaning->mark = item->mark, meaning->text = word_means;
        map->entries.push_back({item->text, item->mark, std::move(meaning)});
      } else if (item->kind != yaml::Kind::map) {
        reject_type(*item, item_path, "a word or a mapping");
      }
      states.push_back(std::make_shared<State>(map, item_path));
    };
    if (alone) add(state_->node->find(key)->value);
    else
      for (const yaml::NodePtr& item : value->items) add(item);
  }
  std::vector<Options> result;
  for (const auto& state : states) result.push_back(Options(state));
  return result;
}

void Options::ignore(std::string_view key) const { state_->was_read.emplace(key); }

// --- looking ---

bool Options::has(std::string_view key) const { return state_->look(key) != nullptr; }

bool Options::is_map(std::string_view key) const {
  const yaml::Node* value = state_->look(key);
  return value && value->kind == yaml::Kind::map;
}

bool Options::is_list(std::string_view key) const {
  const yaml::Node* value = state_->look(key);
  return value && value->kind == yaml::Kind::list;
}

std::vector<std::string> Options::keys() const {
  std::vector<std::string> result;
  for (const yaml::Entry& entry : state_->node->entries) result.push_back(entry.key);
  return result;
}

Mark Options::mark() const { return state_->node->mark; }

Mark Options::mark(std::string_view key) const {
  const yaml::Entry* entry = state_->node->find(key);
  return entry ? entry->value->mark : mark();
}

std::string Options::path(std::string_view key) const { return state_->path_of(key); }

// --- judging ---

Options Options::with_owner(std::string owner) const {
  state_->owner = std::move(owner);
  return *this;
}

void Options::reject(std::string_view key, std::string_view message, std::string hint) const {
  const std::string where = path(key);
  throw Error(ExitCode::bad_input, where.empty() ? std::string(message) : fmt::format("{}: {}", where, message),
              std::move(hint), mark(key));
}

void Options::reject_missing(std::string_view key) const {
  std::vector<std::string> unread;
  for (const yaml::Entry& entry : state_->node->entries)
    if (!state_->was_read.contains(entry.key)) unread.push_back(entry.key);
  const std::string near = suggest(key, unread);
  reject(key, "required, and not given",
         near.empty() ? "" : fmt::format("'{}' is given: did you mean '{}'?", near, key));
}

void Options::finish() const { state_->finish(); }

// --- building ---

void Options::set(std::string_view key_path, std::string_view value) {
  const std::string_view first = key_path.substr(0, key_path.find('.'));
  set_path(*state_->node, key_path, value, mark().file);
  if (const auto stale = state_->opened.find(first); stale != state_->opened.end()) state_->opened.erase(stale);
}

std::string Options::to_yaml() const { return emit(*state_->node); }

}  // namespace trellis
