#include "tie_order.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace trellis::exact_search {

TieOrder::TieOrder(const Task& task) : task_(task), strategies_(strategies_of(task)) { count_changes_to_come(); }

TieOrder::TieOrder(const Task& task, int choice, const Rank& before) : TieOrder(task) {
  most_changes_ = choice > before.choice ? before.changes - 1 : before.changes;
  if (choice == before.choice) before_ = &before.candidates;
}

void TieOrder::count_changes_to_come() {
  to_come_.resize(static_cast<std::size_t>(task_.layers()));
  to_come_.back().assign(task_.kind(task_.layers() - 1).options.size(), 0);
  for (int i = task_.layers() - 2; i >= 0; --i) {
    const std::vector<int>& next = to_come_[static_cast<std::size_t>(i) + 1];
    std::map<int, int> of_strategy;
    for (std::size_t o = 0; o < next.size(); ++o) {
      int& least = of_strategy.try_emplace(strategy(i + 1, static_cast<int>(o)), next[o]).first->second;
      least = std::min(least, next[o]);
    }
    const int other = *std::ranges::min_element(next) + 1;
    for (std::size_t o = 0; o < task_.kind(i).options.size(); ++o) {
      const auto same = of_strategy.find(strategy(i, static_cast<int>(o)));
      to_come_[static_cast<std::size_t>(i)].push_back(same == of_strategy.end() ? other : std::min(other, same->second));
    }
  }
}

int TieOrder::compared(int layer, int option) const {
  if (!before_) return 0;
  const int mine = candidate(layer, option), other = (*before_)[static_cast<std::size_t>(layer)];
  return mine < other ? -1 : mine > other ? 1 : 0;
}

Prefix TieOrder::first(int option) const { return {.compared = compared(0, option)}; }

Prefix TieOrder::longer(const Prefix& prefix, int layer, int from, int to) const {
  return {.changes = prefix.changes + (strategy(layer - 1, from) != strategy(layer, to) ? 1 : 0),
          .compared = prefix.compared != 0 ? prefix.compared : compared(layer, to)};
}

bool TieOrder::may_come_before(const Prefix& prefix, int layer, int option) const {
  const int changes = prefix.changes + to_come_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(option)];
  return changes < most_changes_ || (changes == most_changes_ && prefix.compared <= 0);
}

void TieOrder::sort(History::Layer& labels, const History& before) const {
  const int layer = before.layers();
  using Key = std::pair<int, int>;
  std::map<Key, int> candidates, cuts;
  const auto each = [&](auto work) {
    for (std::size_t s = 0; s < labels.size(); ++s)
      for (Label& l : labels[s]) {
        const Prefix behind = layer > 0 ? before.extended(l, layer).prefix : Prefix{};
        // Of two cuts the one with earlier ends has the later stage where they first differ.
        work(l, Key{behind.candidates, candidate(layer, l.option)}, Key{behind.cut, -static_cast<int>(s)});
      }
  };
  each([&](Label&, const Key& lower, const Key& earlier) { candidates[lower] = 0, cuts[earlier] = 0; });
  for (auto* numbers : {&candidates, &cuts})
    for (int next = 0; auto& [key, number] : *numbers) number = next++;
  each([&](Label& l, const Key& lower, const Key& earlier) {
    l.prefix.candidates = candidates[lower], l.prefix.cut = cuts[earlier];
  });
  for (auto& of_stage : labels)
    std::ranges::stable_sort(of_stage, {}, [](const Label& l) {
      return std::tuple(l.prefix.changes, l.prefix.candidates, l.prefix.cut);
    });
}

bool TieOrder::stands_for(const Label& a, const Label& b, int layer) const {
  // The next layer may go on as one of them, and is a change to the other.
  const int apart = strategy(layer, a.option) != strategy(layer, b.option) ? 1 : 0;
  return std::tuple(a.prefix.changes + apart, a.prefix.candidates, a.prefix.cut) <=
         std::tuple(b.prefix.changes, b.prefix.candidates, b.prefix.cut);
}

}  // namespace trellis::exact_search
