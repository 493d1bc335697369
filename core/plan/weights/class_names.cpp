#include "plan/weights/class_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "plan/weights/json.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

constexpr std::size_t kMostClasses = 1 << 20;

std::optional<std::size_t> number_of_class(const std::string& text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number >= kMostClasses) return std::nullopt;
  return number;
}

// The data's classes in an order that leaves those of the head in their places; empty where there are too many.
std::vector<std::string> as_in_head(std::vector<std::string> head, const std::vector<std::string>& data) {
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::count(names, name) > 0;
  };
  for (const std::string& name : data) {
    if (has(head, name)) continue;
    const auto free = std::ranges::find_if(head, [&](const std::string& other) { return !has(data, other); });
    if (free == head.end()) return {};
    *free = name;
  }
  while (!head.empty() && !has(data, head.back())) head.pop_back();
  return has(head, "") ? std::vector<std::string>() : head;
}

std::string hint(const std::vector<std::string>& head, const std::vector<std::string>& data) {
  const std::vector<std::string> order = as_in_head(head, data);
  if (order.empty() || order.size() > 20) return "data.labels has the names in the order of labels";
  return fmt::format("data.labels=[{}] has the head's order", fmt::join(order, ", "));
}

}  // namespace

std::vector<std::string> class_names_of(const std::string& config) {
  std::vector<std::string> names;
  const Json json = Json::parse(config, nullptr, /*allow_exceptions=*/false);
  const auto found = json.is_object() ? json.find("id2label") : json.end();
  if (!json.is_object() || found == json.end() || !found->is_object()) return names;
  for (const auto& [key, name] : found->items()) {
    const auto number = number_of_class(key);
    if (!number || !name.is_string() || name.get<std::string>() == fmt::format("LABEL_{}", *number)) continue;
    if (names.size() <= *number) names.resize(*number + 1);
    names[*number] = name.get<std::string>();
  }
  return names;
}

std::string compare_classes(const std::vector<std::string>& head, const std::vector<std::string>& data) {
  std::vector<std::string> others;
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (i < head.size() && head[i] == data[i]) continue;
    if (const auto there = std::ranges::find(head, data[i]); there != head.end())
      throw Error(ExitCode::bad_input,
                  fmt::format("class '{}' has label {} in the data, and {} in the head that was trained", data[i], i,
                              there - head.begin()),
                  hint(head, data));
    if (i < head.size() && !head[i].empty()) others.push_back(fmt::format("'{}' (was '{}')", data[i], head[i]));
  }
  if (others.empty()) return {};
  return fmt::format("the head was trained for other classes, and goes on from those: {}", some_of(others));
}

std::string compare_classes(const WeightReader& weights, const std::vector<std::string>& data) {
  if (data.empty() || !weights.fresh().empty()) return {};
  return compare_classes(class_names_of(weights.folder().folder().config_text()), data);
}

}  // namespace trellis
