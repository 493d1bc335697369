#include "trellis/plan/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "trellis/plan/error.h"

namespace trellis {

Bytes size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return Bytes{4};
    case Dtype::f64: return Bytes{8};
    case Dtype::bf16: return Bytes{2};
    case Dtype::i64: return Bytes{8};
    case Dtype::u8: return Bytes{1};
  }
  return Bytes{0};
}

std::string_view name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return "f32";
    case Dtype::f64: return "f64";
    case Dtype::bf16: return "bf16";
    case Dtype::i64: return "i64";
    case Dtype::u8: return "u8";
  }
  return "?";
}

int DeviceLine::size() const {
  int n = 1;
  for (int a : atoms) n *= a;
  return n;
}

int DeviceLine::degree(const AxisList& axes) const {
  int n = 1;
  for (Atom a : axes) n *= atoms.at(static_cast<std::size_t>(a));
  return n;
}

int DeviceLine::coordinate(int rank, Atom atom) const {
  for (int a = static_cast<int>(atoms.size()) - 1; a > atom; --a) rank /= atoms[static_cast<std::size_t>(a)];
  return rank % atoms.at(static_cast<std::size_t>(atom));
}

int DeviceLine::index(int rank, const AxisList& axes) const {
  int i = 0;
  for (Atom a : axes) i = i * atoms[static_cast<std::size_t>(a)] + coordinate(rank, a);
  return i;
}

std::vector<int> DeviceLine::group(int rank, const AxisList& axes) const {
  std::vector<int> stride(atoms.size(), 1);
  for (std::size_t a = atoms.size(); a-- > 1;) stride[a - 1] = stride[a] * atoms[a];
  int base = rank;
  for (Atom a : axes) base -= coordinate(rank, a) * stride[static_cast<std::size_t>(a)];
  std::vector<int> ranks{base};
  for (Atom a : axes) {
    std::vector<int> next;
    for (int r : ranks)
      for (int c = 0; c < atoms[static_cast<std::size_t>(a)]; ++c)
        next.push_back(r + c * stride[static_cast<std::size_t>(a)]);
    ranks = std::move(next);
  }
  return ranks;
}

Layout replicated(std::size_t rank) { return {std::vector<AxisList>(rank), {}}; }

std::string to_string(const Layout& layout) {
  std::vector<std::string> dims;
  for (const AxisList& axes : layout.split) dims.push_back(axes.empty() ? "-" : fmt::format("{}", fmt::join(axes, ".")));
  std::string text = fmt::format("[{}]", fmt::join(dims, " "));
  if (!layout.partial.empty()) text += fmt::format(" partial {}", fmt::join(layout.partial, "."));
  return text;
}

Box local_box(const Shape& shape, const Layout& layout, const DeviceLine& line, int rank) {
  const Shape local = local_shape(shape, layout, line);
  Box box;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    box.begin.push_back(line.index(rank, layout.split[d]) * local[d]);
    box.end.push_back(box.begin[d] + local[d]);
  }
  return box;
}

Shape local_shape(const Shape& shape, const Layout& layout, const DeviceLine& line) {
  Shape local;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const int degree = line.degree(layout.split.at(d));
    if (shape[d] % degree != 0)
      fail(ExitCode::infeasible, "a dim of {} does not divide by {} devices", shape[d], degree);
    local.push_back(shape[d] / degree);
  }
  return local;
}

Box intersect(const Box& a, const Box& b) {
  Box box;
  for (std::size_t d = 0; d < a.begin.size(); ++d) {
    box.begin.push_back(std::max(a.begin[d], b.begin[d]));
    box.end.push_back(std::max(box.begin[d], std::min(a.end[d], b.end[d])));
  }
  return box;
}

std::int64_t elements(const Box& box) {
  std::int64_t n = 1;
  for (std::size_t d = 0; d < box.begin.size(); ++d) n *= box.end[d] - box.begin[d];
  return n;
}

std::int64_t elements(const Shape& shape) {
  std::int64_t n = 1;
  for (std::int64_t s : shape) n *= s;
  return n;
}

std::string_view name_of(MoveKind kind) {
  switch (kind) {
    case MoveKind::slice: return "slice";
    case MoveKind::all_gather: return "all_gather";
    case MoveKind::all_to_all: return "all_to_all";
    case MoveKind::all_reduce: return "all_reduce";
    case MoveKind::reduce_scatter: return "reduce_scatter";
    case MoveKind::send_recv: return "send_recv";
  }
  return "?";
}

Bytes received_bytes(MoveKind kind, Bytes whole, int n) {
  switch (kind) {
    case MoveKind::slice: return Bytes{0};
    case MoveKind::all_reduce: return Bytes{2 * (whole.value - whole.value / n)};
    case MoveKind::send_recv: return whole;
    default: return Bytes{whole.value - whole.value / n};
  }
}

std::vector<std::vector<int>> atom_orders(int n) {
  if (n < 1) fail(ExitCode::infeasible, "a line needs at least one device, found {}", n);
  std::vector<int> primes;
  for (int p = 2; n > 1; ++p)
    for (; n % p == 0; n /= p) primes.push_back(p);
  std::vector<std::vector<int>> orders;
  do orders.push_back(primes);
  while (std::next_permutation(primes.begin(), primes.end()));
  return orders;
}

}  // namespace trellis
