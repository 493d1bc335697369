// What a stage of few layers takes at the least, exactly: all ways to place them are tried, of which some do not fit.
// Bounds that price memory see mixtures of ways, which is far from the truth where there is one layer to be placed.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "task.h"

namespace trellis::exact_search {

class FewLayers {
 public:
  static constexpr int kMost = 3;  // layers

  // Ways that reach `known` by themselves are of no interest.
  FewLayers(const Task&, Picoseconds known);

  struct Least {
    double once = 0;  // forward + backward + sends
    double work = 0;  // what the step has of the stage if it is the slowest, with `once`
    std::vector<int> options;  // of the latter
    double turns = 0;          // what the step has of the stage by StageShape::turns
  };
  // Of layers `first` to `last` as this stage; infinite where no way fits, nullptr where there are too many to try.
  const Least* least(int stage, int first, int last);

  // The least of each of a stage's numbers, over all ways that fit and whose `work` is below a limit.
  struct Parts {
    Picoseconds forward, backward, last_backward, update, send_forward, send_backward;  // to the next stage, and back
    void lower(const Parts&);
  };
  static Parts infinite();
  // Nothing where there are too many to try.
  std::optional<Parts> parts(int stage, int first, int last, double limit);
  // Equal where intervals have the same ways.
  const void* alike(int stage, int first, int last) { return find(stage, first, last); }

 private:
  struct Way {
    std::vector<int> options;
    StageTotal total;
    Picoseconds send_backward{0};  // from the next stage
  };
  struct Ways {
    bool too_many = false;
    std::vector<Way> all;
    std::vector<Least> least;  // by stage, as far as asked for
    std::vector<bool> asked;
  };
  Ways ways(int variant_of, int first, int last) const;
  EdgeCost cheapest_leaving(int layer, int option) const;
  bool of_interest(const StageTotal&, Picoseconds last_gather) const;
  double once(const Way&, int stage) const;
  double work(const Way&, int stage) const;
  double turns(const Way&, int stage) const;
  Least least_of(const Ways&, int stage) const;
  Ways* find(int stage, int first, int last);

  const Task& task_;
  const double known_;
  double forwards_ = 1, backwards_ = 1;  // that count of any stage at the least
  Bytes budget_{0};                      // of the largest stage
  std::map<std::vector<int>, Ways> ways_;  // by variant, kinds of the layers and of the next one
};

}  // namespace trellis::exact_search
