// What --sweep says.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "trellis/plan/error.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"memory", "gpus", "batch", "sequence"};
constexpr std::size_t kMostValues = 1000;

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(
      ExitCode::usage, fmt::format("--sweep {}: {}", text, why),
      "as in memory=16GiB..80GiB, memory=16GiB..80GiB:8GiB, gpus=8,16,32, batch=32..256, sequence=1024..8192:1024");
}

class Reader {
 public:
  Reader(std::string_view whole, bool is_memory) : whole_(whole), is_memory_(is_memory) {}

  std::int64_t number(std::string_view word) const {
    std::int64_t value = 0;
    if (is_memory_) {
      try {
        value = parse_bytes(word).value;
      } catch (const Error& error) {
        refuse(whole_, error.message());
      }
    } else if (const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
               code != std::errc() || end != word.data() + word.size()) {
      refuse(whole_, fmt::format("expected a whole number, found '{}'", word));
    }
    if (value < 1) refuse(whole_, fmt::format("expected more than 0, found '{}'", word));
    return value;
  }

 private:
  std::string_view whole_;
  bool is_memory_;
};

void add_range(Sweep& sweep, std::string_view whole, const Reader& reader, std::string_view range) {
  const std::size_t dots = range.find(".."), colon = range.find(':', dots);
  const std::int64_t first = reader.number(range.substr(0, dots));
  const std::int64_t last =
      reader.number(range.substr(dots + 2, colon == std::string_view::npos ? colon : colon - dots - 2));
  if (first > last) refuse(whole, "the range ends before it begins");
  const auto add = [&](std::int64_t value) {
    if (sweep.values.size() == kMostValues) refuse(whole, fmt::format("more than {} values", kMostValues));
    sweep.values.push_back(value);
  };
  if (colon != std::string_view::npos) {
    const std::int64_t step = reader.number(range.substr(colon + 1));
    for (std::int64_t value = first; value <= last; value += step) add(value);
  } else if (sweep.of == Sweep::Of::memory) {
    add(first), add(last);
    sweep.is_front = true;
  } else {
    for (std::int64_t value = first; value <= last; value *= 2) add(value);
  }
}

}  // namespace

Sweep parse_sweep(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const auto known = std::ranges::find(kNames, name);
  if (known == kNames.end()) refuse(text, fmt::format("expected memory, gpus, batch or sequence, found '{}'", name));
  if (equals == std::string_view::npos || equals + 1 == text.size()) refuse(text, "no values are given");
  Sweep sweep{.of = static_cast<Sweep::Of>(known - kNames.begin()), .values = {}};
  const Reader reader(text, sweep.of == Sweep::Of::memory);
  for (std::string_view rest = text.substr(equals + 1); !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    if (item.find("..") != std::string_view::npos) add_range(sweep, text, reader, item);
    else sweep.values.push_back(reader.number(item));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  if (sweep.is_front && text.find(',') != std::string_view::npos)
    refuse(text, "a range of memory without a step stands alone: it is the whole front");
  std::ranges::sort(sweep.values);
  sweep.values.erase(std::unique(sweep.values.begin(), sweep.values.end()), sweep.values.end());
  return sweep;
}

}  // namespace trellis
