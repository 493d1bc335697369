#include "run/kernels/philox.h"

#include <algorithm>
#include <cmath>

#include "run/kernels/philox_rounds.h"
#include "run/kernels/simd.h"
#include "trellis/plan/error.h"
#include "trellis/run/kernel.h"

namespace trellis {
namespace {

constexpr int kCalls = 32;  // calls made at a time

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
