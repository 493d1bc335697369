#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "trellis/plan/layout.h"
#include "trellis/plan/program.h"

namespace trellis {
namespace {

// A tensor on simulated ranks: what each rank holds of every element, as the set of Partial coordinates summed in it.
// An element's full value is the sum over all coordinates of its Partial atoms.
using Element = std::map<int, int>;  // contribution id -> how many times it is in the sum
struct Simulation {
  const DeviceLine& line;
  Shape shape;
  std::vector<std::map<Shape, Element>> ranks;
};

template <class F>
void each(const Box& box, F f) {
  if (elements(box) == 0) return;
  Shape at = box.begin;
  while (true) {
    f(at);
    std::size_t d = at.size();
    while (d-- > 0) {
      if (++at[d] < box.end[d]) break;
      at[d] = box.begin[d];
      if (d == 0) return;
    }
    if (at.empty()) return;
  }
}

Simulation start(const DeviceLine& line, const Shape& shape, const Layout& layout) {
  Simulation s{line, shape, {}};
  for (int r = 0; r < line.size(); ++r) {
    auto& mine = s.ranks.emplace_back();
    each(local_box(shape, layout, line, r), [&](const Shape& at) { mine[at][line.index(r, layout.partial)] = 1; });
  }
  return s;
}

Shape plus(Shape a, const Shape& b) {
  for (std::size_t d = 0; d < a.size(); ++d) a[d] += b[d];
  return a;
}

// Executes a move by the pieces that the executor would pack, and counts the elements that a rank receives.
std::int64_t execute(Simulation& s, const Move& move) {
  std::vector<std::map<Shape, Element>> next(s.ranks.size());
  std::int64_t received = 0;
  for (int r = 0; r < s.line.size(); ++r) {
    const MovePieces mine = pieces(move, s.line, r);
    const Shape origin = local_box(s.shape, move.to, s.line, r).begin;
    if (move.kind == MoveKind::slice) {
      const Shape source = local_box(s.shape, move.from, s.line, r).begin;
      each(mine.own, [&](const Shape& at) { next[static_cast<std::size_t>(r)][plus(at, source)] = s.ranks[static_cast<std::size_t>(r)].at(plus(at, source)); });
      continue;
    }
    for (std::size_t k = 0; k < mine.group.size(); ++k) {
      const int peer = mine.group[k];
      const MovePieces theirs = pieces(move, s.line, peer);
      const auto me = static_cast<std::size_t>(std::ranges::find(theirs.group, r) - theirs.group.begin());
      if (elements(theirs.send[me]) != elements(mine.receive[k])) FAIL("the two ends of a piece differ in size");
      if (peer != r && r == 0) received += elements(mine.receive[k]);
      each(mine.receive[k], [&](const Shape& at) {
        for (const auto& [id, n] : s.ranks[static_cast<std::size_t>(peer)].at(plus(at, origin))) next[static_cast<std::size_t>(r)][plus(at, origin)][id] += n;
      });
    }
  }
  s.ranks = std::move(next);
  return received;
}

void check_final(const Simulation& s, const Layout& from, const Layout& to) {
  for (int r = 0; r < s.line.size(); ++r) {
    const Box box = local_box(s.shape, to, s.line, r);
    const auto& mine = s.ranks[static_cast<std::size_t>(r)];
    REQUIRE(static_cast<std::int64_t>(mine.size()) == elements(box));
    // Every contribution once, over the ranks that still hold partial sums.
    each(box, [&](const Shape& at) {
      std::map<int, int> total;
      for (int peer : s.line.group(r, to.partial))
        for (const auto& [id, n] : s.ranks[static_cast<std::size_t>(peer)].at(at)) total[id] += n;
      bool good = static_cast<int>(total.size()) == s.line.degree(from.partial);
      for (const auto& [id, n] : total) good &= n == 1;
      if (!good) FAIL("rank ", r, " has an element with a contribution missing, or twice");
    });
  }
}

Layout random_layout(std::mt19937& random, std::size_t dims, int atoms, bool partial) {
  Layout layout = replicated(dims);
  std::vector<Atom> order(static_cast<std::size_t>(atoms));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  for (Atom a : order) {
    const std::size_t where = random() % (dims + 2);
    if (where < dims) layout.split[where].push_back(a);
    if (where == dims && partial) layout.partial.push_back(a);
  }
  std::ranges::sort(layout.partial);
  return layout;
}

}  // namespace

TEST_CASE("every redistribution between random layouts delivers every element, on all meshes up to 16 ranks") {
  std::mt19937 random(7);
  const std::vector<std::vector<int>> meshes{{2}, {3}, {2, 2}, {2, 3}, {3, 2}, {2, 2, 2}, {2, 2, 3}, {3, 3}, {2, 2, 2, 2}, {5}, {2, 7}};
  for (const auto& atoms : meshes) {
    const DeviceLine line{atoms};
    for (int trial = 0; trial < 60; ++trial) {
      const Layout from = random_layout(random, 3, static_cast<int>(atoms.size()), true);
      Layout to = random_layout(random, 3, static_cast<int>(atoms.size()), false);
      for (Atom a : from.partial) {  // a sum may stay partial
        const bool used = std::ranges::any_of(to.split, [&](const AxisList& s) { return std::ranges::find(s, a) != s.end(); });
        if (!used && random() % 2) to.partial.push_back(a);
      }
      const auto n = static_cast<std::int64_t>(line.size());
      const Shape shape{n, n, n};
      if (elements(shape) * n > 40000) continue;
      INFO("mesh of ", line.size(), ": ", to_string(from), " to ", to_string(to));
      Simulation s = start(line, shape, from);
      for (const Move& move : plan_redistribution(shape, Dtype::f32, from, to, line)) {
        if (move.kind == MoveKind::all_reduce) REQUIRE(move.bytes == received_bytes(MoveKind::all_reduce, 4_B * elements(local_shape(shape, move.from, line)), line.degree(move.axes)));
        const std::int64_t received = execute(s, move);
        if (move.kind == MoveKind::all_gather || move.kind == MoveKind::all_to_all) REQUIRE(move.bytes == 4_B * received);
      }
      check_final(s, from, to);
    }
  }
}

TEST_CASE("a changed degree of a split sequence is one all-to-all of at most half a new shard") {
  const DeviceLine line{{2, 2, 2}};
  const Shape shape{8, 16, 4};
  // batch outermost first, sequence innermost first, as Placement::axes lists them
  const Layout degree2{{{0, 1}, {2}, {}}, {}}, degree4{{{0}, {2, 1}, {}}, {}};
  for (const auto& [from, to] : {std::pair{degree2, degree4}, std::pair{degree4, degree2}}) {
    const auto moves = plan_redistribution(shape, Dtype::f32, from, to, line);
    REQUIRE(moves.size() == 1);
    CHECK(moves[0].kind == MoveKind::all_to_all);
    CHECK(moves[0].axes == AxisList{1});
    CHECK(moves[0].bytes == 4_B * 8 * 16 * 4 / 8 / 2);  // half a shard of a rank
  }
}

TEST_CASE("a partial sum that a dim wants split is one reduce-scatter, else one all-reduce") {
  const DeviceLine line{{2, 2}};
  const Shape shape{4, 8};
  const Layout partial{{{0}, {}}, {1}};
  auto moves = plan_redistribution(shape, Dtype::f32, partial, {{{0}, {1}}, {}}, line);
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].kind == MoveKind::reduce_scatter);
  CHECK(moves[0].bytes == 4_B * 2 * 8 / 2);
  moves = plan_redistribution(shape, Dtype::f32, partial, {{{0}, {}}, {}}, line);
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].kind == MoveKind::all_reduce);
  CHECK(moves[0].bytes == 4_B * 2 * 8);
}

TEST_CASE("orders of the prime factors of 12 are three") {
  CHECK(atom_orders(12) == std::vector<std::vector<int>>{{2, 2, 3}, {2, 3, 2}, {3, 2, 2}});
  CHECK(atom_orders(1) == std::vector<std::vector<int>>{{}});
}

}  // namespace trellis
