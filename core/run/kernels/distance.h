// The buckets of attention's bias by distance (Raffel et al. 2020, T5).
#pragma once

#include <cstdint>
#include <vector>

#include "trellis/run/kernel.h"

namespace trellis {

// Scores are multiplied by it.
double attention_scale(const KernelContext&, std::int64_t head_dim);
// Local keys but for those that only pad the sequence.
std::int64_t real_keys(const KernelContext&, std::int64_t local);

// The row of the bias's table for each distance, key minus query, from -(queries - 1) to keys - 1. Half of the rows are
// for exact distances, the others grow logarithmically up to max_distance; without a causal mask the upper half of the
// rows is for keys after the query. In f32, as checkpoints were trained.
std::vector<std::int64_t> distance_buckets(const KernelContext&, std::int64_t queries, std::int64_t keys);

}  // namespace trellis
