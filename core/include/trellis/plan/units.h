// Quantities that must not be mixed up, and how they are written: 38GiB, 25GB/s, 1.7ms, 312TFLOP/s, 0-11.
//
// All are 64-bit integers, so that sums do not depend on their order and compare exactly. The ranges: 8 EiB; 9.2e18
// floating-point operations (one instruction on one device); 106 days in picoseconds.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis {

template <class Tag>
struct TRELLIS_API Quantity {
  std::int64_t value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(std::int64_t v) : value(v) {}

  constexpr auto operator<=>(const Quantity&) const = default;

  constexpr Quantity& operator+=(Quantity other) { return value += other.value, *this; }
  constexpr Quantity& operator-=(Quantity other) { return value -= other.value, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value + b.value); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value - b.value); }

  // By whole numbers only: a fraction would be cut silently. Use scaled() where rounding is meant.
  friend constexpr Quantity operator*(Quantity a, std::integral auto n) {
    return Quantity(a.value * static_cast<std::int64_t>(n));
  }
  friend constexpr Quantity operator*(std::integral auto n, Quantity a) { return a * n; }
  friend constexpr Quantity operator/(Quantity a, std::integral auto n) {
    return Quantity(a.value / static_cast<std::int64_t>(n));
  }
};

// Exported, as are the templates made of them (Options::find<Bytes>).
struct TRELLIS_API BytesTag;
struct TRELLIS_API FlopsTag;
struct TRELLIS_API PicosecondsTag;

using Bytes = Quantity<BytesTag>;
using Flops = Quantity<FlopsTag>;              // floating-point operations; a multiply-add is two
using Picoseconds = Quantity<PicosecondsTag>;  // time, everywhere on the plan side

template <class Tag>
constexpr double ratio(Quantity<Tag> part, Quantity<Tag> whole) {
  return static_cast<double>(part.value) / static_cast<double>(whole.value);
}

// Rounded to the nearest; `factor` is not negative. Saturates at the largest value.
template <class Tag>
constexpr Quantity<Tag> scaled(Quantity<Tag> quantity, double factor) {
  const double exact = static_cast<double>(quantity.value) * factor + 0.5;
  return Quantity<Tag>(exact >= 9223372036854775807.0 ? INT64_MAX : static_cast<std::int64_t>(exact));
}

constexpr double to_seconds(Picoseconds time) { return static_cast<double>(time.value) * 1e-12; }
constexpr Picoseconds from_seconds(double seconds) { return scaled(Picoseconds(1'000'000'000'000), seconds); }

inline namespace literals {
constexpr Bytes operator""_B(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n)); }
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n << 10)); }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n << 20)); }
constexpr Bytes operator""_GiB(unsigned long long n) { return Bytes(static_cast<std::int64_t>(n << 30)); }
constexpr Picoseconds operator""_ps(unsigned long long n) { return Picoseconds(static_cast<std::int64_t>(n)); }
constexpr Picoseconds operator""_ns(unsigned long long n) { return operator""_ps(n * 1000); }
constexpr Picoseconds operator""_us(unsigned long long n) { return operator""_ps(n * 1'000'000); }
constexpr Picoseconds operator""_ms(unsigned long long n) { return operator""_ps(n * 1'000'000'000); }
constexpr Picoseconds operator""_s(unsigned long long n) { return operator""_ps(n * 1'000'000'000'000); }
}  // namespace literals

// For people, rounded: "4.0 MiB", "0.31 ms", "2.15 GFLOP".
TRELLIS_API std::string format(Bytes bytes);
TRELLIS_API std::string format(Picoseconds time);
TRELLIS_API std::string format(Flops flops);

// For files, nothing lost, read back by the parsers: "4MiB", "1537B", "310us", "1234567ps".
TRELLIS_API std::string exact(Bytes bytes);
TRELLIS_API std::string exact(Picoseconds time);

// The whole number with its unit ("4194304 B"), which is what a failing test wants to show.
TRELLIS_API std::ostream& operator<<(std::ostream& out, Bytes bytes);
TRELLIS_API std::ostream& operator<<(std::ostream& out, Picoseconds time);
TRELLIS_API std::ostream& operator<<(std::ostream& out, Flops flops);

// Parsers throw Error (bad_input) naming the form expected. A space before the unit is allowed, no unit is not, except
// for 0. Negative quantities are refused, and so is what does not fit.
TRELLIS_API Bytes parse_bytes(std::string_view text);       // "38GiB", "512MB", "1.5 GiB"
TRELLIS_API Picoseconds parse_time(std::string_view text);  // "1.7ms"; ps, ns, us, ms, s, min, h
TRELLIS_API double parse_bandwidth(std::string_view text);  // bytes a second; "25GB/s", "200Gbit/s"
TRELLIS_API double parse_flops(std::string_view text);      // operations a second; "312TFLOP/s", "312TFLOPS"

// "0-11" and "7" are ranges with both ends included, "0-3,5" a list of such in the order written.
using Range = std::pair<std::int64_t, std::int64_t>;
TRELLIS_API Range parse_range(std::string_view text);
TRELLIS_API std::vector<Range> parse_ranges(std::string_view text);
TRELLIS_API std::string format(Range range);

}  // namespace trellis

template <class Tag>
struct fmt::formatter<trellis::Quantity<Tag>> : fmt::formatter<std::string> {
  template <class Context>
  auto format(trellis::Quantity<Tag> quantity, Context& context) const {
    return fmt::formatter<std::string>::format(trellis::format(quantity), context);
  }
};
