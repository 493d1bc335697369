// Where the pieces of one logical tensor are, on a stage's line of devices.
//
// A stage owns a line of N devices, factored into prime *atoms*, outermost first. An axis is a list of atoms, major to
// minor. A Layout says for each dim of a tensor by which atoms it is split, and over which atoms the tensor still is a
// partial sum; atoms that it does not name replicate. Everything here is a pure value: no rank, no communication.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/units.h"

namespace trellis {

using Atom = int;                        // position in DeviceLine::atoms; 0 is the outermost
using AxisList = std::vector<Atom>;      // major to minor; also a communicator's rank order
using Shape = std::vector<std::int64_t>;

enum class Dtype { f32, f64, bf16, i64, u8 };
TRELLIS_API Bytes size_of(Dtype);
TRELLIS_API std::string_view name_of(Dtype);

// The devices of one stage in their one factored order. Rank r has one coordinate per atom, row-major.
struct TRELLIS_API DeviceLine {
  std::vector<int> atoms;  // prime sizes, outermost first; empty = one device

  int size() const;
  int degree(const AxisList& axes) const;                  // product of the atoms' sizes
  int coordinate(int rank, Atom atom) const;
  int index(int rank, const AxisList& axes) const;         // mixed-radix index of rank along axes = its shard number
  std::vector<int> group(int rank, const AxisList& axes) const;  // ranks that differ from rank only along axes, by index()
  bool operator==(const DeviceLine&) const = default;
};

struct TRELLIS_API Layout {
  std::vector<AxisList> split;  // one entry a tensor dim
  AxisList partial;             // ascending

  bool operator==(const Layout&) const = default;
  auto operator<=>(const Layout&) const = default;
};
TRELLIS_API Layout replicated(std::size_t rank);
TRELLIS_API std::string to_string(const Layout&);

// The half-open range of global indices that one rank holds, per dim.
struct Box {
  Shape begin, end;
  bool operator==(const Box&) const = default;
};
TRELLIS_API Box local_box(const Shape& shape, const Layout&, const DeviceLine&, int rank);
TRELLIS_API Shape local_shape(const Shape& shape, const Layout&, const DeviceLine&);  // throws Error if a dim does not divide
TRELLIS_API Box intersect(const Box&, const Box&);  // empty ranges where they do not meet
TRELLIS_API std::int64_t elements(const Box&);
TRELLIS_API std::int64_t elements(const Shape&);

// One collective of a redistribution, among the ranks that differ along `axes`. `bytes` is what one rank receives
// in the ring-optimal form (planner.md 5.1); a slice receives nothing.
enum class MoveKind { slice, all_gather, all_to_all, all_reduce, reduce_scatter, send_recv };
TRELLIS_API std::string_view name_of(MoveKind);

struct TRELLIS_API Move {
  MoveKind kind = MoveKind::slice;
  AxisList axes;
  Layout from, to;
  Shape shape;  // global
  Dtype dtype = Dtype::f32;
  Bytes bytes{0};
  bool operator==(const Move&) const = default;
};

// The bytes that one of n ranks receives when a collective produces (all_gather, all_reduce) or consumes (the others)
// `whole` bytes, ring-optimal.
TRELLIS_API Bytes received_bytes(MoveKind, Bytes whole, int n);

// The moves that turn one layout of a tensor into another. `to.partial` must be contained in `from.partial`.
TRELLIS_API std::vector<Move> plan_redistribution(const Shape& shape, Dtype, const Layout& from, const Layout& to,
                                                  const DeviceLine&);

// All ordered prime factorizations of n, lexicographically (6: {2,3}, {3,2}); 1 yields one empty list.
TRELLIS_API std::vector<std::vector<int>> atom_orders(int n);

}  // namespace trellis
