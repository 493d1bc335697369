// Philox's arithmetic, for the processor's loops and for device code: both must give the same words.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define TRELLIS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define TRELLIS_HOST_DEVICE [[gnu::always_inline]] inline
#endif

namespace trellis {

// One call. Inlined into a loop over calls, it is vectorized across them.
TRELLIS_HOST_DEVICE void philox_call(std::uint64_t key, std::uint64_t high, std::uint64_t low, std::uint32_t* words) {
  auto c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
  auto c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
#ifndef __CUDACC__
#pragma GCC unroll 10
#endif
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(0xD2511F53u) * c0;
    const std::uint64_t product1 = static_cast<std::uint64_t>(0xCD9E8D57u) * c2;
    c0 = static_cast<std::uint32_t>(product1 >> 32) ^ c1 ^ k0, c1 = static_cast<std::uint32_t>(product1);
    c2 = static_cast<std::uint32_t>(product0 >> 32) ^ c3 ^ k1, c3 = static_cast<std::uint32_t>(product0);
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

// The word of element `index` of a sample (philox.h).
TRELLIS_HOST_DEVICE std::uint32_t philox_word(std::uint64_t key, std::uint64_t sample, std::uint64_t index) {
  std::uint32_t words[4];
  philox_call(key, sample, index / 4, words);
  const auto word = static_cast<std::uint32_t>(index % 4);  // selected without an address: words stay in registers
  return word == 0 ? words[0] : word == 1 ? words[1] : word == 2 ? words[2] : words[3];
}

}  // namespace trellis
