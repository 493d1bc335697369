// Redistribution as a difference of layouts (DESIGN rule 3). Atoms leave a dim at its minor end and enter at the minor
// end, so every step is one collective over whole boxes; all steps of one kind that are possible at once are merged.
#include <algorithm>
#include <utility>

#include "trellis/plan/error.h"
#include "trellis/plan/layout.h"

namespace trellis {
namespace {

class Planner {
 public:
  Planner(const Shape& shape, Dtype dtype, const Layout& from, const Layout& to, const DeviceLine& line)
      : shape_(shape), dtype_(dtype), line_(line), current_(from), to_(to) {}

  std::vector<Move> run() {
    while (current_ != to_) {
      if (step(MoveKind::slice, [this](AxisList& axes) { return enter_free(axes); })) continue;
      if (step(MoveKind::reduce_scatter, [this](AxisList& axes) { return enter_partial(axes); })) continue;
      if (step(MoveKind::all_to_all, [this](AxisList& axes) { return change_dim(axes); })) continue;
      if (step(MoveKind::all_reduce, [this](AxisList& axes) { return reduce(axes); })) continue;
      if (step(MoveKind::all_gather, [this](AxisList& axes) { return leave(axes); })) continue;
      fail(ExitCode::failure, "no way from layout {} to {}", to_string(current_), to_string(to_));
    }
    return moves_;
  }

 private:
  // The atom that dim d needs next: its current list must be a proper prefix of the wanted one.
  int next_atom(std::size_t d) const {
    const AxisList &have = current_.split[d], &want = to_.split[d];
    const bool prefix = have.size() < want.size() && std::equal(have.begin(), have.end(), want.begin());
    return prefix ? want[have.size()] : -1;
  }
  // The minor atom of dim d that has to leave it, or -1.
  int leaving_atom(std::size_t d) const {
    const AxisList &have = current_.split[d], &want = to_.split[d];
    const bool stays = have.size() <= want.size() && std::equal(have.begin(), have.end(), want.begin());
    return stays ? -1 : have.back();
  }
  bool in_use(int atom) const {
    for (const AxisList& axes : current_.split)
      if (std::ranges::find(axes, atom) != axes.end()) return true;
    return std::ranges::find(current_.partial, atom) != current_.partial.end();
  }

  bool enter_free(AxisList& axes) {
    for (std::size_t d = 0; d < shape_.size(); ++d)
      if (int a = next_atom(d); a >= 0 && !in_use(a)) return current_.split[d].push_back(a), axes.push_back(a), true;
    return false;
  }
  bool enter_partial(AxisList& axes) {
    for (std::size_t d = 0; d < shape_.size(); ++d) {
      const int a = next_atom(d);
      if (a < 0 || std::erase(current_.partial, a) == 0) continue;
      current_.split[d].push_back(a), axes.push_back(a);
      return true;
    }
    return false;
  }
  // In one exchange a dim only loses atoms or only gains them: else its pieces would not be of one size.
  std::pair<std::size_t, std::size_t> exchange() const {
    for (std::size_t d = 0; d < shape_.size(); ++d) {
      const int a = leaving_atom(d);
      if (a < 0 || gained_[d]) continue;
      for (std::size_t e = 0; e < shape_.size(); ++e)
        if (e != d && !lost_[e] && next_atom(e) == a) return {d, e};
    }
    return {0, 0};
  }
  bool change_dim(AxisList& axes) {
    const auto [d, e] = exchange();
    if (d == e) return false;
    axes.push_back(current_.split[d].back());
    current_.split[e].push_back(axes.back());
    current_.split[d].pop_back();
    lost_[d] = gained_[e] = true;
    return true;
  }
  // Sums that no dim wants split; one that a dim wants later waits for that dim to be ready.
  bool reduce(AxisList& axes) {
    for (Atom a : current_.partial) {
      const bool kept = std::ranges::find(to_.partial, a) != to_.partial.end();
      if (kept || wanted_split(a)) continue;
      std::erase(current_.partial, a), axes.push_back(a);
      return true;
    }
    return false;
  }
  bool wanted_split(int atom) const {
    return std::ranges::any_of(to_.split, [&](const AxisList& w) { return std::ranges::find(w, atom) != w.end(); });
  }
  // Stops where what is left can be exchanged instead.
  bool leave(AxisList& axes) {
    if (const auto [d, e] = exchange(); d != e) return false;
    for (std::size_t d = 0; d < shape_.size(); ++d)
      if (int a = leaving_atom(d); a >= 0) return current_.split[d].pop_back(), axes.push_back(a), true;
    return false;
  }

  template <class One>
  bool step(MoveKind kind, const One& one) {
    lost_.assign(shape_.size(), false), gained_.assign(shape_.size(), false);
    AxisList axes;
    Layout from = current_;
    while (one(axes)) {}
    if (axes.empty()) return false;
    Move move{.kind = kind, .axes = std::move(axes), .from = std::move(from), .to = current_, .shape = shape_, .dtype = dtype_};
    move.axes = rank_order(move);
    move.bytes = bytes(move);
    moves_.push_back(std::move(move));
    return true;
  }

  // A communicator's rank order is the shard order of the split side: the gathered or scattered dims' atoms, major first.
  AxisList rank_order(const Move& move) const {
    const Layout& side = move.kind == MoveKind::all_gather || move.kind == MoveKind::all_to_all ? move.from : move.to;
    AxisList ordered;
    for (const AxisList& axes : side.split)
      for (Atom a : axes)
        if (std::ranges::find(move.axes, a) != move.axes.end()) ordered.push_back(a);
    if (ordered.size() != move.axes.size()) {
      ordered = move.axes;
      std::ranges::sort(ordered);
    }
    return ordered;
  }

  Bytes bytes(const Move& move) const {
    const Layout& whole = move.kind == MoveKind::all_gather ? move.to : move.from;
    return received_bytes(move.kind, size_of(dtype_) * elements(local_shape(shape_, whole, line_)), line_.degree(move.axes));
  }

  const Shape& shape_;
  Dtype dtype_;
  const DeviceLine& line_;
  Layout current_;
  const Layout& to_;
  std::vector<Move> moves_;
  std::vector<bool> lost_, gained_;  // by dim, in the exchange under construction
};

}  // namespace

std::vector<Move> plan_redistribution(const Shape& shape, Dtype dtype, const Layout& from, const Layout& to,
                                      const DeviceLine& line) {
  for (Atom a : to.partial)
    if (std::ranges::find(from.partial, a) == from.partial.end())
      fail(ExitCode::failure, "a redistribution cannot make a partial sum: {} to {}", to_string(from), to_string(to));
  return Planner(shape, dtype, from, to, line).run();
}

}  // namespace trellis
