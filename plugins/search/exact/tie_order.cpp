#include "tie_order.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace trellis::exact_search {

TieOrder::TieOrder(const Task& task, const Trail& trail, int choice, const Rank& before)
    : task_(task),
      any_(trail.known() ? Trail{} : any_trail(task)),
      trail_(trail.known() ? trail : any_),
      most_changes_(choice > before.choice ? before.changes - 1 : before.changes),
      allowed_(most_changes_),
      strategies_(strategies_of(task)),
      to_come_(task, trail_, strategies_, most_changes_) {
  if (choice == before.choice) before_ = &before.candidates;
}

int TieOrder::left(const Prefix& prefix) const {
  return std::min(allowed_, prefix.compared <= 0 ? most_changes_ : most_changes_ - 1) - prefix.changes;
}

bool TieOrder::may_lead_on(const Label& label, const Dominance& dominance, int layer, int stage) const {
  return trail_.is_along(layer, label.prefix.mark, dominance, label) &&
         to_come_.may_fit(label, layer, stage, left(label.prefix));
}

int TieOrder::compared(int layer, int option) const {
  if (!before_) return 0;
  const int mine = candidate(layer, option), other = (*before_)[static_cast<std::size_t>(layer)];
  return mine < other ? -1 : mine > other ? 1 : 0;
}

std::optional<Prefix> TieOrder::first(int option) const { return of_interest({}, 0, option, Trail::kBefore, false); }

std::optional<Prefix> TieOrder::longer(const Prefix& prefix, int layer, int from, int to, bool leaves) const {
  return of_interest({.changes = prefix.changes + (strategy(layer - 1, from) != strategy(layer, to) ? 1 : 0),
                      .compared = prefix.compared},
                     layer, to, prefix.mark, leaves);
}

std::optional<Prefix> TieOrder::of_interest(Prefix prefix, int layer, int option, int before, bool leaves) const {
  if (prefix.changes > allowed_) return std::nullopt;
  const int stand_in = task_.kind(layer).options[static_cast<std::size_t>(option)].stand_in;
  const std::optional<int> mark = trail_.next(layer, before, stand_in, leaves);
  if (!mark) return std::nullopt;
  prefix.mark = *mark;
  if (prefix.compared == 0) prefix.compared = compared(layer, option);
  return to_come_.may_end(layer, *mark, option, left(prefix)) ? std::optional(prefix) : std::nullopt;
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
