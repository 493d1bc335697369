#include "run/kernels/philox.h"

#include <algorithm>
#include <cmath>

#include "run/kernels/simd.h"
#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
constexpr int kCalls = 32;  // calls made at a time

TRELLIS_INLINE std::uint32_t high_half(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(a) * b) >> 32);
}

// One call. Inlined into a loop over calls, it is vectorized across them.
TRELLIS_INLINE void philox_call(std::uint64_t key, std::uint64_t high, std::uint64_t low, std::uint32_t* words) {
  auto c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
  auto c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    const std::uint32_t high0 = high_half(kMultiplier0, c0), high1 = high_half(kMultiplier1, c2);
    const std::uint32_t low0 = kMultiplier0 * c0, low1 = kMultiplier1 * c2;
    c0 = high1 ^ c1 ^ k0, c1 = low1, c2 = high0 ^ c3 ^ k1, c3 = low0;
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// Words of the calls low, low + 1, ... low + kCalls - 1, in order.
TRELLIS_INLINE void philox_block(std::uint64_t key, std::uint64_t high, std::uint64_t low, std::uint32_t* words) {
  for (std::uint64_t i = 0; i < kCalls; ++i) philox_call(key, high, low + i, words + 4 * i);
}

TRELLIS_CLONES void words_of(std::uint64_t key, std::uint64_t high, std::uint64_t first, std::int64_t n,
                             std::uint32_t* words) {
  std::uint32_t block[4 * kCalls];
  std::uint64_t call = first / 4;
  auto skip = static_cast<std::int64_t>(first % 4);
  while (n > 0) {
    if (skip == 0 && n >= 4 * kCalls) {
      philox_block(key, high, call, words);
      words += 4 * kCalls, n -= 4 * kCalls;
    } else {
      philox_block(key, high, call, block);
      const std::int64_t used = std::min<std::int64_t>(n, 4 * kCalls - skip);
      for (std::int64_t i = 0; i < used; ++i) words[i] = block[skip + i];
      words += used, n -= used, skip = 0;
    }
    call += kCalls;
  }
}

}  // namespace

void philox_words(std::uint64_t key, std::uint64_t high, std::uint64_t first, std::int64_t n, std::uint32_t* words) {
  words_of(key, high, first, n, words);
}

DropoutRule::DropoutRule(double p) {
  if (!(p >= 0 && p <= 1)) fail("a dropout probability is {}; expected 0 to 1", p);
  threshold = static_cast<std::uint32_t>(std::min(std::ceil(p * 4294967296.0), 4294967295.0));
  scale = p < 1 ? 1 / (1 - p) : 0;
}

Philox::Words Philox::operator()(std::uint64_t high, std::uint64_t low) const {
  Words words{};
  philox_call(key, high, low, words.w);
  return words;
}

std::uint64_t mix(std::initializer_list<std::uint64_t> words) {
  std::uint64_t state = 0;
  for (const std::uint64_t word : words) {
    state += 0x9E3779B97F4A7C15ull + word;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9ull;
    state = (state ^ (state >> 27)) * 0x94D049BB133111EBull;
    state ^= state >> 31;
  }
  return state;
}

}  // namespace trellis
