#include "trellis/plan/pins.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trellis {

bool ValueTest::accepts(std::int64_t value) const {
  if (at_least && value < *at_least) return false;
  if (at_most && value > *at_most) return false;
  return among.empty() || std::ranges::count(among, std::to_string(value)) > 0;
}

bool ValueTest::accepts(const std::string& value) const {
  if (!at_least && !at_most) return among.empty() || std::ranges::count(among, value) > 0;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc() && end == value.data() + value.size() && accepts(number);
}

bool SettingTest::accepts(const Strategy& strategy) const {
  const auto found = strategy.find(dimension);
  const bool is_on = found != strategy.end() && found->second.on();
  if (on && *on != is_on) return false;
  return std::ranges::all_of(values, [&](const auto& entry) {
    const auto& [option, test] = entry;
    if (is_on)
      if (const auto value = found->second.values.find(option); value != found->second.values.end())
        return test.accepts(value->second);
    const auto off = when_off.find(option);
    return off != when_off.end() && test.accepts(std::int64_t{off->second});
  });
}

bool Pin::covers(int layer) const {
  return layers.empty() ||
         std::ranges::any_of(layers, [&](const StageRange& r) { return r.first <= layer && layer <= r.last; });
}

std::string Pin::place() const { return fmt::format("{} ({})", path, format(mark)); }

}  // namespace trellis
