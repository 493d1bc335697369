// Attention by blocks of queries, on the BLAS that LibTorch brings: what attention.cpp uses for f32 and f64.
#pragma once

#include <cstdint>

#include "run/kernels/simd.h"

namespace trellis {

// q, output: [b s g r d]; k, v: [b t g d]; lse: [b g r s]; all contiguous, of `real` (f32 or f64), lse likewise. A query
// that sees no key has an output of zeros.
struct AttentionShape {
  std::int64_t b, s, t, g, r, d;
  bool causal;  // query i sees keys 0 to i
  double dropout;
  std::int64_t keys;  // that there are; those from there on to t are padding
  double scale;       // of the scores
  std::int64_t window = 0;  // query i sees keys i - window + 1 to i; 0: all before it
};

// What is added to scores, and keys that are not seen; nothing by default.
struct AttentionBias {
  const std::int64_t* mask = nullptr;  // [b t]: keys where it is 0 are not seen
  const void* by_distance = nullptr;   // [heads, s + t - 1] of `real`: of key j and query i at j - i + s - 1
};

// Dropout's coordinates are global and unpadded, so that a mask does not depend on how heads or the sequence are split.
struct AttentionRandom {
  std::uint64_t key = 0;
  const std::int64_t* samples = nullptr;          // [b]
  std::int64_t first_group = 0, first_query = 0;  // of the local kv heads, of the local queries per kv head
  std::int64_t queries = 0, heads = 0;            // queries per kv head and heads of the whole layer
  std::int64_t keys = 0;                          // of an unpadded sequence
};

struct AttentionForward {
  Real real;
  AttentionShape shape;
  AttentionRandom random;
  AttentionBias bias;
  const void *q, *k, *v;
  void *output, *lse;
};
void attention_forward(const AttentionForward&);

struct AttentionBackward {
  Real real;
  AttentionShape shape;
  AttentionRandom random;
  AttentionBias bias;
  const void *q, *k, *v, *output, *lse, *d_output;
  void *dq, *dk, *dv;
  void* d_by_distance = nullptr;  // [b, heads, s + t - 1], zeroed: each sample's part of the bias's gradient
};
void attention_backward(const AttentionBackward&);

}  // namespace trellis
