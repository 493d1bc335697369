// Partial plans, and when one of them makes another one needless.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "task.h"

namespace trellis::exact_search {

// A stage that a label has behind it.
struct Done {
  StageTotal total;
  int before = -1;  // the stage before it
};

// How a label's plans stand in the order of plans that take as long (tie_order.h).
struct Prefix {
  int changes = 0;              // of strategy
  int candidates = 0, cut = 0;  // numbers within a layer: the lower, the earlier
  int compared = 0;             // its candidates with those of the plan that it has to come before
  int mark = 0;                 // where it is on the trail (trail.h)
};

struct Label {
  StageSum sum;
  int option = 0, gather = 0;  // of its last layer; of the layer before, by number
  int multiples = 0;
  int done = -1;                       // the last complete stage
  const EdgeCost* arriving = nullptr;  // by which this stage began
  int from_stage = 0, from = -1;       // the label of the layer before that it extends
  int owner = 0;                       // options and stages of layers that share a parameter with later ones
  Bytes tie_pending{0}, tie_bytes{0};
  Picoseconds shared{0};
  Bytes largest{0};  // of the complete stages
  double bound = 0;
  Prefix prefix;  // where ties are settled
};

// Of two labels with the same future, the one that is nowhere worse is enough.
class Dominance {
 public:
  explicit Dominance(const Task&);

  // The numbers of a label of which smaller is never worse, with those that tell labels apart most often in front;
  // lying together, because most of the time goes into comparing them.
  static constexpr std::size_t kNumbers = 18;
  using Numbers = std::array<std::int64_t, kNumbers>;
  Numbers numbers(const Label&) const;
  static bool no_worse(const Numbers& a, const Numbers& b) {
    for (std::size_t k = 0; k < kNumbers; ++k)
      if (a[k] > b[k]) return false;
    return true;
  }

  // Whether times are those of the step, which is so with one stage.
  bool by_step() const { return by_step_; }
  // Of numbers a that are no worse than b: whether whatever ends b takes longer than the same behind a.
  bool surely_longer(const Numbers& b, const Numbers& a) const;
  // A sum of those that are times.
  static std::int64_t time(const Numbers&);

  // The stages behind them, and the largest of these.
  bool no_worse_behind(const Label&, const Label&, const std::vector<Done>&) const;

 private:
  std::int64_t alone(const Label&, Picoseconds reduced) const;

  const Task& task_;
  bool by_step_ = false;  // one stage, and its step fits into 64 bits in 1024ths
};

}  // namespace trellis::exact_search
