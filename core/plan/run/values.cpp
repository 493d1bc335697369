#include "plan/run/values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace trellis::values {

double positive(const Options& options, std::string_view key, double value) {
  if (!(value > 0) || !std::isfinite(value)) options.reject(key, fmt::format("expected more than 0, found {}", value));
  return value;
}

double not_negative(const Options& options, std::string_view key, double value) {
  if (!(value >= 0) || !std::isfinite(value)) options.reject(key, fmt::format("expected 0 or more, found {}", value));
  return value;
}

double fraction(const Options& options, std::string_view key, double value) {
  if (!(value >= 0 && value < 1)) options.reject(key, fmt::format("expected 0 or more, less than 1, found {}", value));
  return value;
}

std::size_t word(const Options& options, std::string_view key, const std::vector<std::string>& words) {
  const std::string value = options.get(key, words.front());
  const auto found = std::find(words.begin(), words.end(), value);
  if (found == words.end())
    options.reject(key, fmt::format("expected {}, found '{}'", fmt::join(words, " or "), value),
                   suggestion_hint(value, words, "known"));
  return static_cast<std::size_t>(found - words.begin());
}

namespace {

double read_share(const Options& options, std::string_view key) {
  std::string text = options.raw(key);
  const bool percent = text.ends_with('%');
  if (percent) text.pop_back();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    options.reject(key, fmt::format("expected a share like 5% or 0.05, found '{}'", options.raw(key)));
  return percent ? value / 100 : value;
}

// Somebody who writes 5 means 5 %.
std::string share_hint(const Options& options, std::string_view key, double value) {
  return value > 1 && value < 100 && !options.raw(key).ends_with('%') ? fmt::format("write {}%", options.raw(key)) : "";
}

}  // namespace

double share(const Options& options, std::string_view key, double otherwise) {
  if (!options.has(key)) return otherwise;
  const double value = read_share(options, key);
  if (!(value >= 0 && value < 1))
    options.reject(key, fmt::format("expected at least 0% and less than 100%, found {}", options.raw(key)),
                   share_hint(options, key, value));
  return value;
}

double share_or_all(const Options& options, std::string_view key, double otherwise) {
  if (!options.has(key)) return otherwise;
  const double value = read_share(options, key);
  if (!(value >= 0 && value <= 1))
    options.reject(key, fmt::format("expected 0% to 100%, found {}", options.raw(key)), share_hint(options, key, value));
  return value;
}

}  // namespace trellis::values
