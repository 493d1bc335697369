// Elements of tensors, from bytes and to bytes. Bytes need not be aligned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"

namespace trellis {

// Dtypes that a parameter may have in a file.
enum class ElementType { f32, bf16, f16, f64 };
// By the format's name; -1 where no parameter has such a dtype.
TRELLIS_API int element_type(std::string_view dtype);
TRELLIS_API std::string_view dtype_name(Dtype);  // "F32"; only for f32, bf16, f64

namespace element {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline float from_bits(std::uint32_t bits) { return load<float>(reinterpret_cast<const std::byte*>(&bits)); }
inline float bf16(const std::byte* at) { return from_bits(std::uint32_t{load<std::uint16_t>(at)} << 16); }

// Sign, 5 bits of exponent, 10 of fraction.
inline float f16(const std::byte* at) {
  const std::uint32_t bits = load<std::uint16_t>(at);
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0x1f) return from_bits(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  const float value = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -value : value;
}

// To the nearest, ties to even; not a number stays one.
inline std::uint16_t to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace element

TRELLIS_API double load_element(ElementType, const std::byte* at);
TRELLIS_API void store_element(ElementType, double value, std::byte* at);  // not f16

}  // namespace trellis
