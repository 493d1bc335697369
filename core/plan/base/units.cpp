#include "trellis/plan/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>
#include <span>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024.0;
constexpr std::array kByteUnits = {
    Unit{"B", 1},
    Unit{"KiB", kKi},
    Unit{"MiB", kKi* kKi},
    Unit{"GiB", kKi* kKi* kKi},
    Unit{"TiB", kKi* kKi* kKi* kKi},
    Unit{"PiB", kKi* kKi* kKi* kKi* kKi},
    Unit{"KB", 1e3},
    Unit{"kB", 1e3},
    Unit{"MB", 1e6},
    Unit{"GB", 1e9},
    Unit{"TB", 1e12},
    Unit{"PB", 1e15},
};
constexpr std::array kTimeUnits = {
    Unit{"ps", 1},   Unit{"ns", 1e3},    Unit{"us", 1e6},    Unit{"ms", 1e9},
    Unit{"s", 1e12}, Unit{"min", 60e12}, Unit{"h", 3600e12},
};
constexpr std::array kBandwidthUnits = {
    Unit{"B/s", 1},
    Unit{"KB/s", 1e3},
    Unit{"kB/s", 1e3},
    Unit{"MB/s", 1e6},
    Unit{"GB/s", 1e9},
    Unit{"TB/s", 1e12},
    Unit{"KiB/s", kKi},
    Unit{"MiB/s", kKi* kKi},
    Unit{"GiB/s", kKi* kKi* kKi},
    Unit{"TiB/s", kKi* kKi* kKi* kKi},
    Unit{"Mbit/s", 1e6 / 8},
    Unit{"Gbit/s", 1e9 / 8},
    Unit{"Tbit/s", 1e12 / 8},
};
constexpr std::array kFlopsUnits = {
    Unit{"FLOP/s", 1}, Unit{"MFLOP/s", 1e6}, Unit{"GFLOP/s", 1e9}, Unit{"TFLOP/s", 1e12}, Unit{"PFLOP/s", 1e15},
    Unit{"FLOPS", 1},  Unit{"MFLOPS", 1e6},  Unit{"GFLOPS", 1e9},  Unit{"TFLOPS", 1e12},  Unit{"PFLOPS", 1e15},
};

struct Kind {
  std::string_view expected;  // "a size such as '38GiB'"
  std::span<const Unit> units;
};
constexpr Kind kSize = {"a size such as '38GiB'", kByteUnits};
constexpr Kind kTime = {"a time such as '1.7ms'", kTimeUnits};
constexpr Kind kBandwidth = {"a bandwidth such as '25GB/s'", kBandwidthUnits};
constexpr Kind kRate = {"a speed such as '312TFLOP/s'", kFlopsUnits};

std::vector<std::string> names(std::span<const Unit> units) {
  std::vector<std::string> result;
  for (const Unit& unit : units) result.emplace_back(unit.name);
  return result;
}

[[noreturn]] void refuse(const Kind& kind, std::string_view text, std::string hint = {}) {
  throw Error(ExitCode::bad_input, fmt::format("expected {}, found '{}'", kind.expected, text), std::move(hint));
}

// Number and factor apart, so that whole numbers can be multiplied without rounding.
struct Written {
  std::string_view digits;
  double number;
  double factor;
};

Written read_quantity(const Kind& kind, std::string_view text) {
  Written result{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), result.number, std::chars_format::fixed);
  if (error == std::errc::result_out_of_range) refuse(kind, text, "this is out of range");
  if (error != std::errc() || !std::isfinite(result.number)) refuse(kind, text);
  if (std::signbit(result.number)) refuse(kind, text, "it cannot be negative");

  result.digits = text.substr(0, static_cast<std::size_t>(end - text.data()));
  std::string_view unit = text.substr(result.digits.size());
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty() && result.number == 0) return result;
  const std::vector<std::string> known = names(kind.units);
  if (unit.empty()) refuse(kind, text, fmt::format("add a unit: {}", fmt::join(known, ", ")));
  for (const Unit& candidate : kind.units) {
    if (candidate.name != unit) continue;
    result.factor = candidate.factor;
    return result;
  }
  refuse(kind, text, suggestion_hint(unit, known, "units"));
}

std::int64_t read_integer_quantity(const Kind& kind, std::string_view text) {
  const Written written = read_quantity(kind, text);
  std::int64_t whole = 0;
  const char* end = written.digits.data() + written.digits.size();
  if (const auto parsed = std::from_chars(written.digits.data(), end, whole);
      parsed.ec == std::errc() && parsed.ptr == end) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(whole, static_cast<std::int64_t>(written.factor), &product))
      refuse(kind, text, "this is out of range");
    return product;
  }
  const double product = std::round(written.number * written.factor);
  if (product >= static_cast<double>(std::numeric_limits<std::int64_t>::max()))
    refuse(kind, text, "this is out of range");
  return static_cast<std::int64_t>(product);
}

double read_rate(const Kind& kind, std::string_view text) {
  const Written written = read_quantity(kind, text);
  return written.number * written.factor;
}

std::int64_t read_bound(std::string_view text, std::string_view whole) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && text.front() != '-';
  if (!is_number) fail("expected a range such as '0-11' or '7', found '{}'", whole);
  return value;
}

// The largest unit that divides without rest.
template <std::size_t N>
std::string exact_text(std::int64_t value, const std::array<std::pair<std::string_view, std::int64_t>, N>& units) {
  for (const auto& [name, size] : units)
    if (value != 0 && value % size == 0) return fmt::format("{}{}", value / size, name);
  return fmt::format("{}{}", value, units.back().first);
}

// value / size, a power of ten, with all digits: 1234567 / 1000 is "1234.567".
std::string decimal_text(std::int64_t value, std::int64_t size) {
  std::string text = fmt::format("{}", value / size);
  if (value % size == 0) return text;
  const std::string digits = fmt::format("{}", size + value % size).substr(1);
  return text + "." + digits.substr(0, digits.find_last_not_of('0') + 1);
}

}  // namespace

std::string format(Bytes bytes) {
  static constexpr std::array kNames = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double amount = static_cast<double>(bytes.value);
  if (std::abs(amount) < kKi) return fmt::format("{} B", bytes.value);
  std::size_t unit = 0;
  // 1023.95 would be printed as 1024.0: it belongs to the next unit.
  for (amount /= kKi; std::abs(amount) >= 1023.95 && unit + 1 < kNames.size(); ++unit) amount /= kKi;
  return fmt::format("{:.1f} {}", amount, kNames[unit]);
}

std::string format(Picoseconds time) {
  const double amount = static_cast<double>(time.value);
  const double size = std::abs(amount);
  // A unit is left when two decimals are still two digits or more, so 0.31 ms and not 310.00 us.
  if (size < 1e2) return fmt::format("{} ps", time.value);
  if (size < 1e5) return fmt::format("{:.2f} ns", amount * 1e-3);
  if (size < 1e8) return fmt::format("{:.2f} us", amount * 1e-6);
  if (size < 1e12) return fmt::format("{:.2f} ms", amount * 1e-9);
  return fmt::format("{:.2f} s", amount * 1e-12);
}

std::string format(Flops flops) {
  static constexpr std::array kNames = {"kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"};
  double amount = static_cast<double>(flops.value);
  if (std::abs(amount) < 1e3) return fmt::format("{} FLOP", flops.value);
  std::size_t unit = 0;
  for (amount /= 1e3; std::abs(amount) >= 999.995 && unit + 1 < kNames.size(); ++unit) amount /= 1e3;
  return fmt::format("{:.2f} {}", amount, kNames[unit]);
}

std::string exact(Bytes bytes) {
  using Pair = std::pair<std::string_view, std::int64_t>;
  static constexpr std::array<Pair, 5> kUnits = {Pair{"TiB", 1LL << 40}, Pair{"GiB", 1LL << 30}, Pair{"MiB", 1LL << 20},
                                                 Pair{"KiB", 1LL << 10}, Pair{"B", 1}};
  return exact_text(bytes.value, kUnits);
}

std::string exact(Picoseconds time) {
  using Pair = std::pair<std::string_view, std::int64_t>;
  static constexpr std::array<Pair, 5> kUnits = {Pair{"s", 1'000'000'000'000}, Pair{"ms", 1'000'000'000},
                                                 Pair{"us", 1'000'000}, Pair{"ns", 1'000}, Pair{"ps", 1}};
  // Decimals that a double still has exactly.
  if (time.value > 0 && time.value < std::int64_t{1} << 50)
    for (const auto& [name, size] : kUnits)
      if (time.value >= size) return decimal_text(time.value, size) + std::string(name);
  return exact_text(time.value, kUnits);
}

std::ostream& operator<<(std::ostream& out, Bytes bytes) { return out << bytes.value << " B"; }
std::ostream& operator<<(std::ostream& out, Picoseconds time) { return out << time.value << " ps"; }
std::ostream& operator<<(std::ostream& out, Flops flops) { return out << flops.value << " FLOP"; }

Bytes parse_bytes(std::string_view text) { return Bytes(read_integer_quantity(kSize, text)); }
Picoseconds parse_time(std::string_view text) { return Picoseconds(read_integer_quantity(kTime, text)); }
double parse_bandwidth(std::string_view text) { return read_rate(kBandwidth, text); }
double parse_flops(std::string_view text) { return read_rate(kRate, text); }

Range parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::int64_t first = read_bound(text.substr(0, dash), text);
  const std::int64_t last = dash == std::string_view::npos ? first : read_bound(text.substr(dash + 1), text);
  if (last < first) fail("the range '{}' runs backwards: write '{}-{}'", text, last, first);
  return {first, last};
}

std::vector<Range> parse_ranges(std::string_view text) {
  std::vector<Range> ranges;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    std::string_view part = text.substr(start, comma - start);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    ranges.push_back(parse_range(part));
    start = comma + 1;
  }
  return ranges;
}

std::string format(Range range) {
  return range.first == range.second ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.second);
}

}  // namespace trellis
