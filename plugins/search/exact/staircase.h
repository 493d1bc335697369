// The plans that are known, each the best of those in its memory: what others have to be better than, by budget.
#pragma once

#include <vector>

#include "task.h"
#include "trellis/plan/cost.h"

namespace trellis::exact_search {

class Staircase {
 public:
  struct Step {
    Bytes needs{0};  // of the plan's largest stage
    Score score;
    Plan plan;
    int owner = -1;  // whose choice it is: a number that means nothing here
    Choice choice;   // of that one
  };
  // From the smallest up; each is faster than the one before.
  const std::vector<Step>& steps() const { return steps_; }
  // The best plan in this budget; nullptr where none is known.
  const Step* best(Bytes budget) const;
  bool is_better(Bytes needs, const Score&) const;
  // In the place of what it is better than.
  void add(Step);

 private:
  std::vector<Step> steps_;
};

}  // namespace trellis::exact_search
