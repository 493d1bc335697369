// What no plan of a choice is below, by the budget of every device. A bound with prices of memory is a line of it: another
// budget only changes what the prices are paid for. What was proven at one budget holds for all smaller ones.
#pragma once

#include <vector>

#include "trellis/plan/units.h"

namespace trellis::exact_search {

// step >= at_zero - per_byte * budget
struct BoundLine {
  double at_zero = 0, per_byte = 0;
  double at(Bytes budget) const;
};

class LowerCurve {
 public:
  void add(const BoundLine&);
  // For budgets up to so much.
  void add(Bytes up_to, double step);
  // Picoseconds of a step; 0 where nothing is known.
  double at(Bytes budget) const;

 private:
  struct Level {
    Bytes up_to{0};
    double step = 0;
  };
  std::vector<BoundLine> lines_;  // those that are the highest somewhere, the flattest first
  std::vector<Level> levels_;     // from the smallest budget up, lower and lower
};

}  // namespace trellis::exact_search
