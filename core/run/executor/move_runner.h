// Runs one derived move on one rank: packs pieces, starts the collective, unpacks when it is waited for.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "trellis/plan/program.h"
#include "trellis/run/comm.h"

namespace trellis {

// A move with what one rank needs for it, worked out once.
struct PreparedMove {
  Move move;
  MovePieces pieces;
  Shape destination;       // local shape
  bool packs = false;      // staging_bytes() > 0: pieces do not lie one after the other
  Comm* comm = nullptr;    // none for a slice
};
// `base` is the global rank of the line's first device, `rank` the line's own.
PreparedMove prepare_move(const Move&, const DeviceLine&, int rank, int base, CommWorld&);

// A started move. The destination is defined at once where nothing has to be unpacked.
struct Flight {
  WorkPtr work;
  at::Tensor source, sent, received, destination;
};

at::Tensor run_slice(const PreparedMove&, const at::Tensor& source);
Flight start_move(const PreparedMove&, const at::Tensor& source);
at::Tensor finish_move(const PreparedMove&, Flight);
// All moves of a list, one after the other.
at::Tensor run_moves(const std::vector<PreparedMove>&, at::Tensor source);

at::Tensor view_of(at::Tensor tensor, const Box&);

}  // namespace trellis
