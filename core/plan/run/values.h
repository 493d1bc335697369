// Values of a run file with their bounds. Each throws Error at its place where the value is out of them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/options.h"

namespace trellis::values {

template <class T>
T at_least(const Options& options, std::string_view key, T smallest, T value) {
  if (value < smallest) options.reject(key, fmt::format("expected at least {}, found {}", smallest, value));
  return value;
}

template <class T>
std::optional<T> find_at_least(const Options& options, std::string_view key, T smallest) {
  const auto value = options.find<T>(key);
  return value ? at_least(options, key, smallest, *value) : value;
}

double positive(const Options& options, std::string_view key, double value);
double not_negative(const Options& options, std::string_view key, double value);
// At least 0 and less than 1.
double fraction(const Options& options, std::string_view key, double value);
// The index of the option's word.
std::size_t word(const Options& options, std::string_view key, const std::vector<std::string>& words);
// "5%" or 0.05.
double share(const Options& options, std::string_view key, double otherwise);
// The same, and 100 %, too.
double share_or_all(const Options& options, std::string_view key, double otherwise);

}  // namespace trellis::values
