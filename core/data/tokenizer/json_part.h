// One object of a tokenizer.json, read strictly: what nobody asked for may change what the tokenizer does.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/error.h"

namespace trellis::data {

using LargeJson = nlohmann::json;

class JsonPart {
 public:
  // `path` of the object in the file: "pre_tokenizer.pretokenizers[0]". Error where it is no object.
  JsonPart(const LargeJson& value, std::string file, std::string path);

  [[noreturn]] void reject(std::string_view key, std::string_view message, std::string hint = {}) const;
  // A component or an option that is known to nobody here: unsupported.
  [[noreturn]] void refuse(std::string_view key, std::string_view message, std::string hint = {}) const;

  bool has(std::string_view key) const;  // there, and not null
  std::string text(std::string_view key) const;
  std::string text(std::string_view key, std::string otherwise) const;
  bool flag(std::string_view key, std::optional<bool> otherwise = std::nullopt) const;
  std::int64_t number(std::string_view key, std::int64_t otherwise) const;
  const LargeJson& member(std::string_view key) const;  // required
  JsonPart object(std::string_view key) const;          // required
  std::vector<JsonPart> objects(std::string_view key) const;
  void expect_off(std::initializer_list<std::string_view> keys) const;  // absent, null, false, "" or 0
  void ignore(std::initializer_list<std::string_view> keys) const;      // says nothing about tokens of a text
  void finish() const;                                                  // refuses what is left
  std::string path_of(std::string_view key) const;

 private:
  const LargeJson* find(std::string_view key) const;
  const LargeJson* value_;
  std::string file_, path_;
  mutable std::set<std::string, std::less<>> read_;
};

}  // namespace trellis::data
