#include "trellis/plan/option_fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis {

void OptionFields::size(std::string_view key, std::int64_t& value, std::int64_t otherwise) {
  if (to_) return to_->set(key, fmt::format("{}", value));
  value = from_->get(key, otherwise);
  if (value < 1) from_->reject(key, fmt::format("found {}; expected 1 or more", value));
}

void OptionFields::count(std::string_view key, std::int64_t& value, std::int64_t otherwise) {
  if (to_) return to_->set(key, fmt::format("{}", value));
  value = from_->get(key, otherwise);
  if (value < 0) from_->reject(key, fmt::format("found {}; expected 0 or more", value));
}

void OptionFields::index(std::string_view key, std::int64_t& value, std::int64_t most) {
  if (to_) return to_->set(key, fmt::format("{}", value));
  value = from_->get<std::int64_t>(key, -1);
  if (value < -1 || value > most) from_->reject(key, fmt::format("found {}; expected 0 to {}, or -1: none", value, most));
}

void OptionFields::positive(std::string_view key, double& value, double otherwise) {
  if (to_) return to_->set(key, fmt::format("{}", value));
  value = from_->get(key, otherwise);
  if (!(value > 0)) from_->reject(key, fmt::format("found {}; expected more than 0", value));
}

void OptionFields::probability(std::string_view key, double& value, double otherwise) {
  if (to_) return to_->set(key, fmt::format("{}", value));
  value = from_->get(key, otherwise);
  if (!(value >= 0 && value < 1)) from_->reject(key, fmt::format("found {}; expected 0 or more, less than 1", value));
}

void OptionFields::flag(std::string_view key, bool& value, bool otherwise) {
  if (to_) return to_->set(key, value ? "on" : "off");
  value = from_->get(key, otherwise);
}

void OptionFields::word(std::string_view key, std::string& value, const std::vector<std::string>& words,
                        std::string otherwise) {
  if (to_) return to_->set(key, value);
  value = from_->get(key, std::move(otherwise));
  if (std::ranges::find(words, value) == words.end())
    from_->reject(key, fmt::format("there is no '{}'", value), suggestion_hint(value, words, "one of"));
}

}  // namespace trellis
