// How the pieces of a move lie in the local source and destination, for packing and unpacking on any backend.
#include <algorithm>

#include "plan/program/staging.h"
#include "trellis/plan/program.h"

namespace trellis {
namespace {

Box relative(const Box& box, const Shape& origin) {
  Box local = box;
  for (std::size_t d = 0; d < origin.size(); ++d) local.begin[d] -= origin[d], local.end[d] -= origin[d];
  return local;
}

}  // namespace

MovePieces pieces(const Move& move, const DeviceLine& line, int rank) {
  MovePieces result;
  result.group = line.group(rank, move.axes);
  const Box source = local_box(move.shape, move.from, line, rank), target = local_box(move.shape, move.to, line, rank);
  result.own = relative(intersect(source, target), source.begin);
  for (int peer : result.group) {
    const Box peer_source = local_box(move.shape, move.from, line, peer);
    const Box peer_target = local_box(move.shape, move.to, line, peer);
    result.send.push_back(relative(intersect(source, peer_target), source.begin));
    result.receive.push_back(relative(intersect(peer_source, target), target.begin));
  }
  return result;
}

namespace {

// Pieces in communicator order lie one after the other in memory where only the leading dims of size above 1 differ.
bool contiguous_order(const Move& move, const DeviceLine& line, bool gathered) {
  const Layout& split = gathered ? move.from : move.to;
  const Layout& whole = gathered ? move.to : move.from;
  const Shape local = local_shape(move.shape, whole, line);
  AxisList order;
  for (std::size_t d = 0; d < local.size(); ++d) {
    const AxisList added(split.split[d].begin() + static_cast<std::ptrdiff_t>(whole.split[d].size()), split.split[d].end());
    if (added.empty()) {
      if (local[d] != 1) break;
      continue;
    }
    order.insert(order.end(), added.begin(), added.end());
    if (local[d] != line.degree(added)) break;
  }
  return order == move.axes;
}

}  // namespace

Bytes staging_bytes(const Move& move, const DeviceLine& line) {
  const Bytes in = size_of(move.dtype) * elements(local_shape(move.shape, move.from, line));
  const Bytes out = size_of(move.dtype) * elements(local_shape(move.shape, move.to, line));
  switch (move.kind) {
    case MoveKind::all_gather: return contiguous_order(move, line, true) ? Bytes{0} : out;
    case MoveKind::reduce_scatter: return in + (contiguous_order(move, line, false) ? Bytes{0} : in);  // received, packed
    case MoveKind::all_to_all: return in + out;
    case MoveKind::all_reduce: return all_reduce_staging(in, line.degree(move.axes));
    default: return Bytes{0};
  }
}

}  // namespace trellis
