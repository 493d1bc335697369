#include "data/tokenizer/json_part.h"

#include <fmt/format.h>

#include "plan/base/utf8.h"

namespace trellis::data {
namespace {

constexpr std::size_t kShown = 40;  // bytes of a value in an error

std::string shown(const LargeJson& value) { return shortened(value.dump(), kShown); }

}  // namespace

JsonPart::JsonPart(const LargeJson& value, std::string file, std::string path)
    : value_(&value), file_(std::move(file)), path_(std::move(path)) {
  if (!value.is_object())
    fail(Mark{file_}, "{}expected an object, found {}", path_.empty() ? "" : path_ + ": ", shown(value));
}

std::string JsonPart::path_of(std::string_view key) const {
  if (key.empty()) return path_;
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void JsonPart::reject(std::string_view key, std::string_view message, std::string hint) const {
  throw Error(ExitCode::bad_input, fmt::format("{}: {}", path_of(key), message), std::move(hint), {file_});
}

void JsonPart::refuse(std::string_view key, std::string_view message, std::string hint) const {
  throw Error(ExitCode::unsupported, fmt::format("{}: {}", path_of(key), message), std::move(hint), {file_});
}

const LargeJson* JsonPart::find(std::string_view key) const {
  read_.emplace(key);
  const auto found = value_->find(std::string(key));
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

bool JsonPart::has(std::string_view key) const { return find(key) != nullptr; }

const LargeJson& JsonPart::member(std::string_view key) const {
  const LargeJson* found = find(key);
  if (!found) reject(key, "required, and not given");
  return *found;
}

std::string JsonPart::text(std::string_view key) const {
  const LargeJson& value = member(key);
  if (!value.is_string()) reject(key, fmt::format("expected text, found {}", shown(value)));
  return value.get<std::string>();
}

std::string JsonPart::text(std::string_view key, std::string otherwise) const {
  return has(key) ? text(key) : std::move(otherwise);
}

bool JsonPart::flag(std::string_view key, std::optional<bool> otherwise) const {
  if (!has(key) && otherwise) return *otherwise;
  const LargeJson& value = member(key);
  if (!value.is_boolean()) reject(key, fmt::format("expected true or false, found {}", shown(value)));
  return value.get<bool>();
}

std::int64_t JsonPart::number(std::string_view key, std::int64_t otherwise) const {
  if (!has(key)) return otherwise;
  const LargeJson& value = member(key);
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() >> 62 == 0);
  if (!fits || value.get<std::int64_t>() < 0)
    reject(key, fmt::format("expected a whole number, 0 or more, found {}", shown(value)));
  return value.get<std::int64_t>();
}

JsonPart JsonPart::object(std::string_view key) const { return {member(key), file_, path_of(key)}; }

std::vector<JsonPart> JsonPart::objects(std::string_view key) const {
  const LargeJson& value = member(key);
  if (!value.is_array()) reject(key, fmt::format("expected a list, found {}", shown(value)));
  std::vector<JsonPart> result;
  for (std::size_t i = 0; i < value.size(); ++i)
    result.emplace_back(value[i], file_, fmt::format("{}[{}]", path_of(key), i));
  return result;
}

void JsonPart::expect_off(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    const LargeJson* value = find(key);
    if (value && *value != false && *value != "" && *value != 0)
      refuse(key, fmt::format("{} is not supported", shown(*value)), "supported: off");
  }
}

void JsonPart::ignore(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) find(key);
}

void JsonPart::finish() const {
  for (const auto& [key, value] : value_->items())
    if (!read_.contains(key)) refuse(key, "not known, and it may change the tokens");
}

}  // namespace trellis::data
