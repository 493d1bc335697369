// A profile file of the reference, read strictly: what is wrong is told with the file and the dotted key.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace trellis::galvatron {

using Json = nlohmann::ordered_json;  // the order of keys matters to the reference (static times)

class JsonFile {
 public:
  static JsonFile read(const std::filesystem::path& path);
  // `name` stands for the file in errors.
  static JsonFile parse(const std::string& text, std::string name);

  const Json& root() const { return root_; }
  const std::string& name() const { return name_; }

  // The value at a path of keys; Error naming the first key that is missing.
  const Json& at(const std::vector<std::string>& path) const;
  // A measurement; Error where it is none or out of all reason.
  double positive(const std::vector<std::string>& path) const;      // 1e-6 to 1e6
  double not_negative(const std::vector<std::string>& path) const;  // 0 to 1e6
  // The same for a member of an object that is at hand; `path` is for errors.
  double positive(const Json& value, const std::vector<std::string>& path) const;
  double not_negative(const Json& value, const std::vector<std::string>& path) const;

  [[noreturn]] void reject(const std::vector<std::string>& path, std::string_view what, std::string hint = {}) const;

 private:
  JsonFile(Json root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}
  double number(const Json& value, const std::vector<std::string>& path) const;

  Json root_;
  std::string name_;
};

// The whole number after `prefix` in a key: number_after("layertype_0_bsz8_seq2048", "_bsz") is 8; -1 where there is
// none. An empty prefix: the number that the key begins with.
std::int64_t number_after(std::string_view key, std::string_view prefix);

}  // namespace trellis::galvatron
