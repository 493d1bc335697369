// A lower bound for a pipeline by its intervals of layers: what each takes at the least as each stage, and then the cut
// for which all stages once and the slowest one besides are the least (planner.md 5.3, head + work + tail). Other than a
// weighted mean of the stages it sees that layers are whole.
#pragma once

#include <optional>
#include <vector>

#include "bound.h"
#include "few_layers.h"
#include "task.h"

namespace trellis::exact_search {

class Segments {
 public:
  // Intervals that reach `known` by themselves are of no interest.
  Segments(const Task&, Picoseconds known);

  // Bounds the intervals with these prices of memory, too: by stage, of a stage's whole time in the step. Bounds only
  // rise. The number of walks over a layer that it took.
  std::int64_t price(const std::vector<double>& memory);
  // Intervals of few layers, exactly.
  void enumerate();
  // The least limit, from `from` on, below which a plan may be as far as single stages tell: no plan's step is below it.
  double least_limit(double from) const;
  // By replaying the schedule with the least that each stage may have of everything: 0 where a stage may have more than
  // a few layers, infinite where none is left that is below `known`. Near to the step where stages have few ways to go.
  double replayed();
  // For a cut all of whose stages have few layers: in each what is the fastest as the slowest stage.
  std::optional<Choice> fastest(const std::vector<int>& ends);

  struct Best {
    double bound = 0;  // no plan's step is below this; infinite where none is better than `known`
    std::vector<int> ends;
  };
  Best best() const;

 private:
  // By last layer: by number of layers - 1. What is not there is hopeless.
  using Table = std::vector<std::vector<double>>;
  struct Stage {
    Table once;   // forward + backward + sends
    Table work;   // what the step has of the stage if it is the slowest, with `once`
    Table turns;  // by StageShape::turns; 0 where that is not known
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
  // The least that stages take once: [s][n], all before stage s together, with the first n layers; all from s on, with
  // the others.
  struct Chains {
    std::vector<std::vector<double>> before, behind;
  };
  Chains chains(const Chains* known, double limit) const;
  Chains within(double limit) const;
  bool may_be(std::size_t stage, std::size_t last, std::size_t n, const Chains&, double limit) const;
  double beside() const;
  Cut shortest(double slowest) const;
  double least_slowest() const;

  const Task& task_;
  const double known_;
  FewLayers few_;
  std::vector<Stage> stages_;
  std::int64_t walks_ = 0;
};

}  // namespace trellis::exact_search
