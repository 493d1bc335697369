// What an all-reduce holds beside its tensor, from start to wait: what the other ranks send. On CUDA, NCCL has buffers
// of its own instead.
#pragma once

#include "trellis/plan/export.h"
#include "trellis/plan/units.h"

namespace trellis {

// Up to this size every rank receives the whole from every other one, in one round; a larger tensor is reduced in
// pieces, which are then gathered.
inline constexpr Bytes kOneRoundAllReduce = 64_KiB;

constexpr Bytes all_reduce_staging(Bytes whole, int ranks) {
  return whole <= kOneRoundAllReduce ? whole * (ranks - 1) : whole / ranks * (ranks - 1);
}

}  // namespace trellis
