// What the steps of a path cost, as real numbers in dense tables: from a layer to the next in one stage, and out of a
// stage. Options that a step cannot tell apart have one entry (Kind::leaving, arriving, beginning).
#pragma once

#include <vector>

#include "trellis/plan/search.h"

namespace trellis::exact_search {

class Task;

// The most that the layer has above what it keeps: in forward and on the edge; in backward and in the last one, but for
// parameters that the layer before it has gathered.
struct PeakTable {
  std::vector<double> forward, backward, last;
};

// From a class of `leaving` to one of `arriving`: [to * from classes + from].
struct StayTable {
  PeakTable peaks;
  std::vector<double> forward;
  std::vector<std::vector<double>> backward;  // by the level of the gather of the layer before (Task::gathers)
};

// From a class of `leaving` to one of the next layer's `beginning`, in another stage; or to none, at the model's end.
struct LeaveTable {
  PeakTable peaks;
  std::vector<double> forward, sends;
  std::vector<std::vector<double>> backward;  // likewise
};

class Steps {
 public:
  explicit Steps(const Task&);

  // `variant`: of a stage, or kLeast.
  const StayTable& stay(int layer, int variant) const;
  // Out of stage `stage`; for kLeast as well, whatever the stage.
  const LeaveTable& leave(int layer, int stage, int variant) const;
  const LeaveTable& end(int variant) const { return end_[number(variant)]; }
  // The levels that the layer before can have; 0, as at the beginning of a stage, is among them.
  const std::vector<int>& levels_before(int layer) const;

  // The least that the layer before has gathered in backward, by level.
  double gathered_before(int layer, int level) const;

  static constexpr int kLeast = -1;  // entry by entry the least of all variants

 private:
  std::size_t number(int variant) const {
    return variant == kLeast ? static_cast<std::size_t>(variants_) : static_cast<std::size_t>(variant);
  }
  std::size_t pair(int layer) const;
  StayTable stay_table(int layer, int stage) const;
  LeaveTable leave_table(int layer, int stage, int edge_of) const;
  void make_leaving(int layer, std::size_t pair);

  const Task& task_;
  int variants_ = 1;
  std::vector<int> stage_of_;                       // a stage of each variant
  std::vector<std::vector<StayTable>> stay_;        // [pair of kinds][variant, and the least]
  std::vector<std::vector<LeaveTable>> leave_;      // [pair of kinds][number]
  std::vector<std::vector<std::size_t>> leaving_;   // [pair of kinds][stage, and the least]: which of leave_
  std::vector<LeaveTable> end_;                     // [variant, and the least]
  std::vector<std::vector<int>> levels_;            // [kind]: that its options have, with 0
  std::vector<std::vector<double>> gathered_;       // [kind][level]
  std::vector<int> none_{0};
};

}  // namespace trellis::exact_search
