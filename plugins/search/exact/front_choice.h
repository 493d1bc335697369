// One global choice in the search for a whole front: what no plan of it is below, by budget, and pieces of work that
// raise that and meet plans.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "labels.h"
#include "lower_curve.h"
#include "relax.h"
#include "task.h"

namespace trellis::exact_search {

class FrontChoice {
 public:
  FrontChoice(const Problem&, const CostOracle&, const GlobalChoice&, const SharedShapes&, Bytes most, double crude_bound);

  const GlobalChoice& choice() const { return *choice_; }
  // Picoseconds of a step.
  double lower(Bytes budget) const { return curve_.at(budget); }

  struct Order {
    Bytes budget{0};
    Picoseconds known{0};  // only plans of that budget that are faster matter
    std::int64_t labels = 0;  // that are left
    std::function<bool()> out_of_time;
  };
  // How dear a piece of work is: what costs, and bounds; plans next to others; labels, more of them each time.
  static constexpr int kBounds = 0, kSpread = 1, kLabels = 2;
  // How dear the next one at a budget is, where only plans faster than `known` matter; more so where the same was done for
  // a budget just above. Nothing where none is left.
  std::optional<int> next_work(Bytes budget, Picoseconds known) const;
  // Does it. Pieces of different choices may be done at once.
  void work(const Order&);
  // Meets the plans next to one of its own that needs so much; worth it where nothing of about that size was spread.
  bool may_spread(Bytes needs) const;
  void spread(Bytes needs, const Choice&);

  // A plan that was met since it was asked last, with its step and largest stage; whether it fits is for others to see.
  struct Met {
    Choice choice;
    Measure measure;
  };
  std::vector<Met> take_met() { return std::exchange(met_, {}); }
  Plan plan(const Choice& choice) { return task().plan(choice); }

  struct Counts {
    std::int64_t priced = 0, candidates = 0, paths = 0, searched = 0, labels = 0;
  };
  Counts take_counts() { return std::exchange(counts_, {}); }
  // Frees what is large; it is made again where it is needed.
  void release() { task_.reset(); }
  bool is_large() const { return task_ != nullptr; }

 private:
  // What bounds at a budget have left for labels.
  struct Relaxation {
    std::vector<Weights> weights;
    std::optional<Choice> best;
    Picoseconds known{0};  // only plans that are faster were looked for
  };
  Task& task();
  // That serves a budget, where plans have to be faster than `known`, as well.
  const Relaxation* near(Bytes budget, Picoseconds known) const;
  void relax_at(const Order&);
  void label(const Order&, const Relaxation&);
  void meet(const Choice&, const PlanValue&);

  const Problem& problem_;
  const CostOracle& oracle_;
  const GlobalChoice* choice_;
  SharedShapes shapes_;
  Bytes most_;  // of all budgets
  std::unique_ptr<Task> task_;
  bool impossible_ = false, priced_ = false;
  LowerCurve curve_;
  std::map<Bytes, Relaxation> relaxed_;
  std::map<Bytes, int> searched_;  // how often
  std::set<Bytes> spread_;
  std::vector<Met> met_;
  Counts counts_;
};

}  // namespace trellis::exact_search
