#include "run/executor/move_runner.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "trellis/plan/error.h"

namespace trellis {

at::Tensor view_of(at::Tensor tensor, const Box& box) {
  for (std::size_t d = 0; d < box.begin.size(); ++d)
    if (const std::int64_t length = box.end[d] - box.begin[d]; length != tensor.size(static_cast<std::int64_t>(d)))
      tensor = tensor.narrow(static_cast<std::int64_t>(d), box.begin[d], length);
  return tensor;
}

PreparedMove prepare_move(const Move& move, const DeviceLine& line, int rank, int base, CommWorld& world) {
  PreparedMove prepared{.move = move, .pieces = pieces(move, line, rank), .destination = local_shape(move.shape, move.to, line)};
  if (move.kind == MoveKind::slice) return prepared;
  std::vector<int> group = prepared.pieces.group;
  for (int& r : group) r += base;
  prepared.comm = &world.group(group);
  const Bytes source = size_of(move.dtype) * elements(local_shape(move.shape, move.from, line));
  const Bytes staging = staging_bytes(move, line);
  prepared.packs = move.kind == MoveKind::all_gather ? staging.value > 0
                   : move.kind == MoveKind::reduce_scatter ? staging > source
                                                           : move.kind == MoveKind::all_to_all;
  return prepared;
}

namespace {

// Pieces one after the other in communicator order.
at::Tensor packed(const at::Tensor& source, const std::vector<Box>& boxes) {
  at::Tensor flat = at::empty({source.numel()}, source.options());
  std::int64_t at = 0;
  for (const Box& box : boxes) {
    const at::Tensor piece = view_of(source, box);
    flat.narrow(0, at, piece.numel()).view(piece.sizes()).copy_(piece);
    at += piece.numel();
  }
  return flat;
}

void unpack(const at::Tensor& flat, const at::Tensor& destination, const std::vector<Box>& boxes) {
  std::int64_t at = 0;
  for (const Box& box : boxes) {
    at::Tensor piece = view_of(destination, box);
    piece.copy_(flat.narrow(0, at, piece.numel()).view(piece.sizes()));
    at += piece.numel();
  }
}

}  // namespace

at::Tensor run_slice(const PreparedMove& p, const at::Tensor& source) { return view_of(source, p.pieces.own).clone(); }

Flight start_move(const PreparedMove& p, const at::Tensor& source) {
  Flight flight{.source = source};
  const auto empty = [&](at::IntArrayRef shape) { return at::empty(shape, source.options()); };
  switch (p.move.kind) {
    case MoveKind::all_reduce:
      flight.destination = source.clone();
      flight.work = p.comm->all_reduce(flight.destination);
      break;
    case MoveKind::all_gather:
      if (p.packs) flight.received = empty({elements(p.destination)});
      else flight.destination = empty(p.destination);
      flight.work = p.comm->all_gather(p.packs ? flight.received : flight.destination, source);
      break;
    case MoveKind::reduce_scatter:
      flight.sent = p.packs ? packed(source, p.pieces.send) : source;
      flight.destination = empty(p.destination);
      flight.work = p.comm->reduce_scatter(flight.destination, flight.sent);
      break;
    case MoveKind::all_to_all:
      flight.sent = packed(source, p.pieces.send);
      flight.received = empty({elements(p.destination)});
      flight.work = p.comm->all_to_all(flight.received, flight.sent);
      break;
    default: fail(ExitCode::failure, "a {} cannot be started", name_of(p.move.kind));
  }
  return flight;
}

at::Tensor finish_move(const PreparedMove& p, Flight flight) {
  flight.work->wait();
  if (flight.destination.defined()) return flight.destination;
  at::Tensor destination = at::empty(p.destination, flight.source.options());
  unpack(flight.received, destination, p.pieces.receive);
  return destination;
}

at::Tensor run_moves(const std::vector<PreparedMove>& moves, at::Tensor source) {
  for (const PreparedMove& p : moves)
    source = p.move.kind == MoveKind::slice ? run_slice(p, source) : finish_move(p, start_move(p, source.contiguous()));
  return source;
}

}  // namespace trellis
