// The order of plans that take as long and whose largest stage is as large, of one choice, while they are made layer by
// layer.
#pragma once

#include <limits>
#include <vector>

#include "history.h"
#include "order.h"
#include "task.h"

namespace trellis::exact_search {

class TieOrder {
 public:
  explicit TieOrder(const Task&);
  // Only plans are of interest that come before `before`, a plan of another choice or of this one: with fewer changes;
  // with as many where this choice comes first; with as many and no higher candidates where it is the same.
  TieOrder(const Task&, int choice, const Rank& before);

  // Of one layer, and of one more behind a label of the layer before.
  Prefix first(int option) const;
  Prefix longer(const Prefix&, int layer, int from, int to) const;
  // Whether some such plan may come of it.
  bool may_come_before(const Prefix&, int layer, int option) const;

  // Numbers the prefixes of a layer's labels and sorts these by stage: those of plans that come first in front.
  void sort(History::Layer&, const History&) const;
  // Of two labels of one layer and stage, of which the first stands for the second in all else: whether its plans also
  // come before the other's with the same layers behind.
  bool stands_for(const Label&, const Label&, int layer) const;

 private:
  int strategy(int layer, int option) const {
    return strategies_[static_cast<std::size_t>(task_.kind_number(layer))][static_cast<std::size_t>(option)];
  }
  int candidate(int layer, int option) const {
    return task_.kind(layer).options[static_cast<std::size_t>(option)].candidate;
  }
  void count_changes_to_come();
  int compared(int layer, int option) const;

  const Task& task_;
  int most_changes_ = std::numeric_limits<int>::max();
  const std::vector<int>* before_ = nullptr;        // its candidates, where plans with as many changes need lower ones
  const std::vector<std::vector<int>> strategies_;  // [kind][option]
  std::vector<std::vector<int>> to_come_;           // the least changes behind: [layer][option]
};

}  // namespace trellis::exact_search
