// All useful mixes of a stage: strategy by strategy, for every number of layers done so far the labels (memory, times)
// that no other label of that number is better than in everything, but for those that cannot end under all limits.
#include <algorithm>
#include <map>
#include <tuple>

#include "mix.h"

namespace trellis::galvatron {
namespace {

struct Label {
  double memory = 0, computed = 0, reduced = 0;
  std::int32_t parent = -1;  // in the arena
  std::int32_t item = -1;    // what the last layer got
};

// Lowest `reduced` by `computed`, of labels that came in order of memory: is a further one of use?
class Staircase {
 public:
  explicit Staircase(bool exact_computed) : exact_(exact_computed) {}

  bool add(double computed, double reduced) {
    auto next = steps_.upper_bound(computed);
    if (next != steps_.begin()) {
      const auto before = std::prev(next);
      if (before->second <= reduced && (!exact_ || before->first == computed)) return false;
    }
    if (!exact_)
      while (next != steps_.end() && next->second >= reduced) next = steps_.erase(next);
    steps_[computed] = reduced;
    return true;
  }

 private:
  bool exact_;
  std::map<double, double> steps_;
};

class Enumeration {
 public:
  Enumeration(const Stage& stage, std::vector<Limit>& limits, Direction main, bool exact_computed, Effort& effort,
              const std::function<void(const Mix&)>& found)
      : stage_(stage), limits_(limits), exact_computed_(exact_computed), effort_(effort), found_(found) {
    drop_dominated();
    order_by_reduced_cost(main);
    for (const Limit& limit : limits_) {
      hulls_.emplace_back();
      for (std::size_t k = 0; k <= items_.size(); ++k) hulls_.back().emplace_back(items_, k, limit.direction);
    }
  }

  bool run() {
    fronts_.assign(static_cast<std::size_t>(stage_.layers) + 1, {});
    arena_.push_back({});
    if (!cut(arena_[0], stage_.layers, 0)) fronts_[0].push_back(0);
    for (std::size_t k = 0; k < items_.size(); ++k) {
      for (std::size_t done = 1; done < fronts_.size(); ++done)
        if (!extend(k, done)) return false;
      report();
      for (std::size_t done = 0; done + 1 < fronts_.size(); ++done)
        std::erase_if(fronts_[done], [&](std::int32_t id) {
          return cut(arena_[static_cast<std::size_t>(id)], stage_.layers - static_cast<int>(done), k + 1);
        });
    }
    return true;
  }

 private:
  void drop_dominated() {
    const auto& all = stage_.items;
    const auto beats = [&](std::size_t a, std::size_t b) {
      const Item &x = all[a], &y = all[b];
      if (x.memory > y.memory || x.computed > y.computed || x.reduced > y.reduced) return false;
      if (exact_computed_ && x.computed != y.computed) return false;
      return a < b || x.memory < y.memory || x.computed < y.computed || x.reduced < y.reduced;
    };
    for (std::size_t s = 0; s < all.size(); ++s) {
      bool beaten = false;
      for (std::size_t t = 0; t < all.size() && !beaten; ++t) beaten = t != s && beats(t, s);
      if (!beaten) kept_.push_back(s);
    }
  }

  // What a mix near the bound hardly has comes first: it is soon cut.
  void order_by_reduced_cost(Direction main) {
    const Hull hull(stage_.items, 0, main);
    const double price = hull.price(stage_.budget / stage_.layers);
    const auto cost = [&](std::size_t s) {
      const Item& item = stage_.items[s];
      return main.of(item.computed, item.reduced) + price * item.memory;
    };
    std::stable_sort(kept_.begin(), kept_.end(), [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
    for (const std::size_t s : kept_) items_.push_back(stage_.items[s]);
  }

  // No mix that goes on from here with items from `first` on is under all limits.
  bool cut(const Label& label, int layers_left, std::size_t first) const {
    const double free = stage_.budget - label.memory;
    if (free < 0) return true;
    for (std::size_t d = 0; d < limits_.size(); ++d) {
      double value = limits_[d].direction.of(label.computed, label.reduced);
      if (layers_left > 0) value += layers_left * hulls_[d][first].least(free / layers_left);
      if (value >= limits_[d].value) return true;
    }
    return false;
  }

  // Labels of `done` layers: those without item k, and those of one layer less with one of it.
  bool extend(std::size_t k, std::size_t done) {
    const Item& item = items_[k];
    std::vector<Label> added;
    for (const std::int32_t id : fronts_[done - 1]) {
      const Label& from = arena_[static_cast<std::size_t>(id)];
      const Label label{from.memory + item.memory, from.computed + item.computed, from.reduced + item.reduced, id,
                        static_cast<std::int32_t>(k)};
      if (!cut(label, stage_.layers - static_cast<int>(done), k)) added.push_back(label);
    }
    if (added.empty()) return true;
    effort_.spent += static_cast<std::int64_t>(added.size());
    if (effort_.spent > effort_.labels) return false;
    const auto in_order = [](const Label& a, const Label& b) {
      return std::tie(a.memory, a.computed, a.reduced) < std::tie(b.memory, b.computed, b.reduced);
    };
    // Both lists are in order of memory: a front because it was merged so, the added ones because adding keeps order.
    if (!std::is_sorted(added.begin(), added.end(), in_order)) std::sort(added.begin(), added.end(), in_order);
    merge(fronts_[done], added, in_order);
    return true;
  }

  template <class Order>
  void merge(std::vector<std::int32_t>& front, const std::vector<Label>& added, Order in_order) {
    std::vector<std::int32_t> merged;
    Staircase stairs(exact_computed_);
    std::size_t old = 0, fresh = 0;
    while (old < front.size() || fresh < added.size()) {
      const bool take_old =
          fresh == added.size() ||
          (old < front.size() && !in_order(added[fresh], arena_[static_cast<std::size_t>(front[old])]));
      if (take_old) {
        const std::int32_t id = front[old++];
        const Label& label = arena_[static_cast<std::size_t>(id)];
        if (stairs.add(label.computed, label.reduced)) merged.push_back(id);
      } else {
        const Label& label = added[fresh++];
        if (!stairs.add(label.computed, label.reduced)) continue;
        merged.push_back(static_cast<std::int32_t>(arena_.size()));
        arena_.push_back(label);
      }
    }
    front = std::move(merged);
  }

  // Mixes that are whole, once each.
  void report() {
    auto& whole = fronts_.back();
    for (const std::int32_t id : whole) {
      if (id < reported_ || cut(arena_[static_cast<std::size_t>(id)], 0, 0)) continue;
      Mix mix;
      mix.counts.assign(stage_.items.size(), 0);
      for (std::int32_t at = id; arena_[static_cast<std::size_t>(at)].item >= 0;
           at = arena_[static_cast<std::size_t>(at)].parent)
        ++mix.counts[kept_[static_cast<std::size_t>(arena_[static_cast<std::size_t>(at)].item)]];
      found_(mix_of(stage_, std::move(mix.counts)));
    }
    reported_ = static_cast<std::int32_t>(arena_.size());
  }

  const Stage& stage_;
  std::vector<Limit>& limits_;
  bool exact_computed_;
  Effort& effort_;
  const std::function<void(const Mix&)>& found_;
  std::vector<std::size_t> kept_;         // items, in the order of work
  std::vector<Item> items_;               // the same
  std::vector<std::vector<Hull>> hulls_;  // by limit and first item
  std::vector<Label> arena_;
  std::vector<std::vector<std::int32_t>> fronts_;  // by layers done
  std::int32_t reported_ = 0;
};

}  // namespace

bool enumerate(const Stage& stage, std::vector<Limit>& limits, Direction main, bool exact_computed, Effort& effort,
               const std::function<void(const Mix&)>& found) {
  return Enumeration(stage, limits, main, exact_computed, effort, found).run();
}

}  // namespace trellis::galvatron
