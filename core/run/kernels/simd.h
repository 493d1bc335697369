// What the kernels' own loops are made of: plain loops that the compiler vectorizes, one clone for each instruction
// set.
//
// A function marked TRELLIS_CLONES is compiled for AVX-512, AVX2 and the baseline, and chosen when the library is
// loaded. Templates cannot be cloned: write the loop as a TRELLIS_INLINE template, and call it from a cloned function
// through TRELLIS_BY_REAL, so that it is compiled with its caller's instruction set.
#pragma once

#include <ATen/core/Tensor.h>

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define TRELLIS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRELLIS_CLONES
#endif
#define TRELLIS_INLINE [[gnu::always_inline]] inline

namespace trellis {

enum class Real { f32, f64, bf16 };  // an element type of computation
Real real_of(const at::Tensor&);     // Error where it is none of these

// Runs the statement with `T` as the element type.
#define TRELLIS_BY_REAL(real, T, ...) \
  switch (real) {                     \
    case Real::f32: {                 \
      using T = float;                \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
    case Real::f64: {                 \
      using T = double;               \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
    case Real::bf16: {                \
      using T = Bf16;                 \
      __VA_ARGS__;                    \
      break;                          \
    }                                 \
  }

struct Bf16 {
  std::uint16_t bits;
};

// Elements are computed in float, those of double in double.
template <class T>
struct ComputeOf {
  using type = float;
};
template <>
struct ComputeOf<double> {
  using type = double;
};
template <class T>
using Compute = typename ComputeOf<T>::type;

TRELLIS_INLINE float load(float v) { return v; }
TRELLIS_INLINE double load(double v) { return v; }
TRELLIS_INLINE float load(Bf16 v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16); }

TRELLIS_INLINE void store(float& to, float v) { to = v; }
TRELLIS_INLINE void store(double& to, double v) { to = v; }
TRELLIS_INLINE void store(Bf16& to, float v) {  // to the nearest, ties to even; a NaN stays one
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to.bits = static_cast<std::uint16_t>(v != v ? 0x7fc0u : rounded);
}

// e^x with a relative error below 2e-7; below -87 it is not smaller than e^-87. Cody and Waite's reduction, and the
// polynomial of Cephes' expf.
TRELLIS_INLINE float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: rounds to an integer in the low bits
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto exponent = static_cast<std::uint32_t>(std::bit_cast<std::int32_t>(shifted) - 0x4b400000 + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}
TRELLIS_INLINE double fast_exp(double x) { return std::exp(x); }

// Sums and maxima over independent lanes: a compiler may not reorder floating-point sums itself.
inline constexpr int kLanes = 32;

template <class C>
struct Lanes {
  C lane[kLanes];
  TRELLIS_INLINE explicit Lanes(C value) {
    for (int i = 0; i < kLanes; ++i) lane[i] = value;
  }
  TRELLIS_INLINE C sum() const {
    C part[4] = {lane[0], lane[1], lane[2], lane[3]};
    for (int i = 4; i < kLanes; ++i) part[i % 4] += lane[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
  }
  TRELLIS_INLINE C max() const {
    C result = lane[0];
    for (int i = 1; i < kLanes; ++i) result = lane[i] > result ? lane[i] : result;
    return result;
  }
};

// Sum of term(i), i in [0, n).
template <class C, class Term>
TRELLIS_INLINE C lane_sum(std::int64_t n, Term term) {
  Lanes<C> lanes(C(0));
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) lanes.lane[j] += term(i + j);
  C tail = 0;
  for (; i < n; ++i) tail += term(i);
  return lanes.sum() + tail;
}

// Maximum of term(i), i in [0, n), and `lowest`.
template <class C, class Term>
TRELLIS_INLINE C lane_max(std::int64_t n, C lowest, Term term) {
  Lanes<C> lanes(lowest);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const C value = term(i + j);
      lanes.lane[j] = value > lanes.lane[j] ? value : lanes.lane[j];
    }
  C result = lanes.max();
  for (; i < n; ++i) {
    const C value = term(i);
    result = value > result ? value : result;
  }
  return result;
}

}  // namespace trellis
