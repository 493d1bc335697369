#include "trellis/plan/public_config.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis::public_config {

std::int64_t in_range(const Options& config, std::string_view key, std::int64_t value, std::int64_t most) {
  if (value < 1 || value > most) config.reject(key, fmt::format("found {}; expected 1 to {}", value, most));
  return value;
}

std::int64_t size(const Options& config, std::string_view key, std::int64_t most) {
  return in_range(config, key, config.required<std::int64_t>(key), most);
}

std::int64_t size_or(const Options& config, std::string_view key, std::int64_t otherwise, std::int64_t most) {
  return in_range(config, key, config.get(key, otherwise), most);
}

double positive(const Options& config, std::string_view key, double otherwise) {
  const double value = config.get(key, otherwise);
  if (!(value > 0)) config.reject(key, fmt::format("found {}; expected more than 0", value));
  return value;
}

double probability(const Options& config, std::string_view key, double otherwise) {
  const double value = config.get(key, otherwise);
  if (!(value >= 0 && value < 1)) config.reject(key, fmt::format("found {}; expected 0 or more, less than 1", value));
  return value;
}

std::string word(const Options& config, std::string_view key, const std::string& otherwise,
                 const std::vector<std::string>& known) {
  const std::string value = config.get(key, otherwise);
  if (std::find(known.begin(), known.end(), value) == known.end())
    config.reject(key, fmt::format("'{}' is not supported", value),
                  fmt::format("supported: {}", fmt::join(known, ", ")));
  return value;
}

void require(const Options& config, std::string_view key, bool wanted) {
  if (config.get(key, wanted) != wanted)
    config.reject(key, fmt::format("{} is not supported", !wanted), fmt::format("supported: {}", wanted));
}

std::int64_t side(const Options& config, std::string_view key, std::int64_t otherwise) {
  const auto sides = config.get(key, std::vector<std::int64_t>{otherwise});
  if (sides.empty() || sides.size() > 2) config.reject(key, "expected one number, or two");
  if (sides.front() != sides.back())
    config.reject(key, fmt::format("{} x {} is not supported", sides.front(), sides.back()), "supported: squares");
  return in_range(config, key, sides.front(), 1 << 16);
}

std::int64_t pad_token(const Options& config, std::int64_t vocab, std::int64_t otherwise) {
  constexpr const char* kKey = "pad_token_id";
  const auto found = config.find<std::int64_t>(kKey);
  if (!found) return otherwise;
  const std::int64_t token = *found < 0 ? vocab + *found : *found;
  if (token < 0 || token >= vocab) config.reject(kKey, fmt::format("found {}; the vocabulary has {} tokens", *found, vocab));
  return token;
}

std::string architecture(const Options& config, const std::vector<std::string>& known) {
  const auto names = config.get("architectures", std::vector<std::string>{});
  if (names.empty()) return {};
  if (std::find(known.begin(), known.end(), names.front()) == known.end())
    config.reject("architectures", fmt::format("'{}' is not supported", names.front()),
                  fmt::format("supported: {}", fmt::join(known, ", ")));
  return names.front();
}

bool tied(bool said, const std::string& head, const std::string& table, const WeightTensors& tensors,
          std::vector<std::string>& notes) {
  if (!said || !tensors.has(head) || !tensors.has(table) || tensors.equal(head, table)) return said;
  notes.push_back(fmt::format("{} differs from {}: the tables are not tied, though config.json says so", head, table));
  return false;
}

std::int64_t classes(const Options& config, const std::string& head, const WeightTensors& tensors) {
  word(config, "problem_type", "single_label_classification", {"single_label_classification"});
  std::int64_t named = 0;
  if (config.has("id2label")) {
    const Options labels = config.section("id2label");
    for (const std::string& key : labels.keys()) labels.ignore(key), ++named;
  }
  const std::int64_t said = config.get("num_labels", named > 0 ? named : std::int64_t{2});
  if (!tensors.has(head)) return std::max<std::int64_t>(2, said);
  const Shape shape = tensors.shape(head);
  const std::int64_t rows = shape.empty() ? 0 : shape.front();
  if (named > 0 && named != rows)
    config.reject("id2label", fmt::format("{} classes, and {} has {} rows", named, head, rows));
  if (rows < 2)
    config.reject("id2label", fmt::format("{} has {} rows: one class stands for a number to be met", head, rows),
                  "supported: two classes or more, of which one is right");
  return rows;
}

}  // namespace trellis::public_config
