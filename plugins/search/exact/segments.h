// A lower bound for a pipeline by its intervals of layers: what each takes at the least as each stage, and then the cut
// for which all stages once and the slowest one besides are the least (planner.md 5.3, head + work + tail). Other than a
// weighted mean of the stages it sees that layers are whole.
#pragma once

#include <vector>

#include "bound.h"
#include "task.h"

namespace trellis::exact_search {

class Segments {
 public:
  // Intervals that reach `known` by themselves are of no interest.
  Segments(const Task&, Picoseconds known);

  // Bounds the intervals with these prices of memory, too: by stage, of a stage's whole time in the step. Bounds only
  // rise. The number of walks over a layer that it took.
  std::int64_t price(const std::vector<double>& memory);

  struct Best {
    double bound = 0;  // no plan's step is below this; infinite where none is better than `known`
    std::vector<int> ends;
  };
  Best best() const;

 private:
  // By last layer: by number of layers - 1. What is not there is hopeless.
  using Table = std::vector<std::vector<double>>;
  struct Stage {
    Table once;  // forward + backward + sends
    Table work;  // what the step has of the stage if it is the slowest, with `once`
  };
  struct Cut {
    double chain = 0;
    std::vector<int> ends;
  };

  Stage priced_stage(int stage, double price, void (*reduce)(const Task&, StageWeights&));
  bool alike(int layer) const;
  int first_of_run(int layer) const;
  Table walked(int stage, const StageWalk&, const Table* those);
  bool may_begin(int stage, int layer) const;
  Cut shortest(double slowest) const;
  double least_slowest() const;

  const Task& task_;
  const double known_;
  std::vector<Stage> stages_;
  std::int64_t walks_ = 0;
};

}  // namespace trellis::exact_search
