#include "plan/base/words.h"

#include <fmt/format.h>

namespace trellis {

std::string number_of(std::int64_t n, std::string_view noun) {
  const std::string_view ending = n == 1 ? "" : noun.ends_with("ch") || noun.ends_with('s') ? "es" : "s";
  return fmt::format("{} {}{}", n, noun, ending);
}

std::string a(std::string_view noun) {
  return fmt::format("{} {}", std::string_view("aeiou").find(noun.front()) != std::string_view::npos ? "an" : "a", noun);
}

std::string count_of(std::int64_t n, std::string_view noun) {
  const auto value = static_cast<double>(n);
  if (n >= 1'000'000'000) return fmt::format("{:.2f} G {}", value / 1e9, noun);
  if (n >= 1'000'000) return fmt::format("{:.2f} M {}", value / 1e6, noun);
  if (n >= 1'000) return fmt::format("{:.1f} k {}", value / 1e3, noun);
  return fmt::format("{} {}", n, noun);
}

}  // namespace trellis
