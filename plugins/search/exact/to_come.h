// What is still to come of a plan that follows a trail: whether it may end with so many changes of strategy, and what
// memory its stage needs then at the least.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "dominance.h"
#include "reals.h"
#include "task.h"
#include "trail.h"

namespace trellis::exact_search {

class ToCome {
 public:
  // `strategies`: of options by number, [kind][option]. More changes than `most` are of no interest.
  ToCome(const Task&, const Trail&, const std::vector<std::vector<int>>& strategies, int most);

  // No plan that fits has fewer.
  int least_changes() const { return least_changes_; }
  // Whether some plan goes on from a mark, whose layer has this option, with no more changes than these.
  bool may_end(int layer, int mark, int option, int changes) const;
  // Whether the stage of a label at the mark may fit then.
  bool may_fit(const Label&, int layer, int stage, int changes) const;

 private:
  // Of the layers that are to come in a stage: what they add to the peak of those before them, in all micro-batches or
  // in the last backward; and the most that is needed beside one of them. Each is the least of all ways to go on, by
  // itself.
  struct Need {
    double passes = 0, last = 0;
    double at_passes = -kInfinite, at_last = -kInfinite;
    void lower(const Need&);
    bool never() const { return passes == kInfinite; }
  };
  static constexpr Need never() { return {kInfinite, kInfinite, kInfinite, kInfinite}; }
  static constexpr std::int64_t kMost = 1 << 21;  // needs

  // Needs by changes to come, of which the last entry is for as many and more.
  using Needs = std::vector<Need>;
  // Behind a mark: where the next layer has any strategy, and where it has each. That it changes to it is not counted.
  struct Behind {
    Needs any;
    std::vector<std::pair<int, Needs>> by_strategy;  // sorted
  };

  int strategy(int layer, int option) const {
    return strategies_[static_cast<std::size_t>(task_.kind_number(layer))][static_cast<std::size_t>(option)];
  }
  Behind behind(int layer, int mark) const;
  Need with(int layer, int option, int stage, const Need& rest) const;
  Need after(const Behind&, int strategy, std::size_t changes) const;
  Need after(int layer, int mark, int option, int changes) const;

  const Task& task_;
  const Trail& trail_;
  const std::vector<std::vector<int>>& strategies_;
  std::size_t count_ = 0;                     // of needs by changes
  std::vector<std::vector<Behind>> behind_;  // [layer][mark]
  int least_changes_ = 0;
};

}  // namespace trellis::exact_search
