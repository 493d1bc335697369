// The order of plans that take as long and whose largest stage is as large, of one choice, while they are made layer by
// layer.
#pragma once

#include <optional>
#include <vector>

#include "history.h"
#include "order.h"
#include "task.h"
#include "to_come.h"
#include "trail.h"

namespace trellis::exact_search {

class TieOrder {
 public:
  // Only plans along the trail are of interest, if one is known, and of these those that come before `before`, a plan of
  // another choice or of this one: with fewer changes; with as many where this choice comes first; with as many and no
  // higher candidates where it is the same.
  TieOrder(const Task&, const Trail&, int choice, const Rank& before);

  // No such plan has fewer changes of strategy, or more.
  int least_changes() const { return to_come_.least_changes(); }
  int most_changes() const { return most_changes_; }
  // Plans with more are of no interest from here on; at first those with most_changes() are.
  void allow(int changes) { allowed_ = changes; }

  // Of one layer, and of one more behind a label of the layer before: nothing where no such plan may come of it.
  std::optional<Prefix> first(int option) const;
  std::optional<Prefix> longer(const Prefix&, int layer, int from, int to, bool leaves) const;
  // Whether the label, made of first() or longer(), may lead to such a plan.
  bool may_lead_on(const Label&, const Dominance&, int layer, int stage) const;

  // Numbers the prefixes of a layer's labels and sorts these by stage: those of plans that come first in front.
  void sort(History::Layer&, const History&) const;
  // Of two labels of one layer and stage, of which the first stands for the second in all else: whether its plans also
  // come before the other's with the same layers behind.
  bool stands_for(const Label&, const Label&, int layer) const;

 private:
  std::optional<Prefix> of_interest(Prefix, int layer, int option, int before, bool leaves) const;
  // How many changes may come behind the prefix.
  int left(const Prefix&) const;

  int strategy(int layer, int option) const {
    return strategies_[static_cast<std::size_t>(task_.kind_number(layer))][static_cast<std::size_t>(option)];
  }
  int candidate(int layer, int option) const {
    return task_.kind(layer).options[static_cast<std::size_t>(option)].candidate;
  }
  int compared(int layer, int option) const;

  const Task& task_;
  const Trail any_;
  const Trail& trail_;
  int most_changes_ = 0, allowed_ = 0;
  const std::vector<int>* before_ = nullptr;        // its candidates, where plans with as many changes need lower ones
  const std::vector<std::vector<int>> strategies_;  // [kind][option]
  const ToCome to_come_;
};

}  // namespace trellis::exact_search
