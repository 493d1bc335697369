// What else there would be: the same problem asked again with another budget, without a strategy, with other choices.
// Whoever can solve a problem answers; how well is the answer's own word ("optimal, proven", "within 0.3 %, proven").
//
// Not thread-safe: a solver may read options.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trellis/plan/cost.h"
#include "trellis/plan/export.h"

namespace trellis {

// What a search said to a problem.
struct TRELLIS_API Answer {
  std::optional<Plan> plan;  // nothing where none fits, or none was found
  PlanCost cost;
  SearchLog log;
  double reached = 0;  // what log.lower_bound bounds: seconds a step, or with several batches seconds a sample
  double seconds = 0;  // that it took

  // That nothing is better, or that nothing fits.
  bool is_proven() const;
  Score score() const { return trellis::score(*plan, cost); }  // of a plan
  Bytes memory() const;                                        // of its fullest stage
};
using Solver = std::function<Answer(const Problem&)>;

// --- plans beside a plan ---

// The layers of one type that have one strategy, wherever they are.
struct StrategyGroup {
  const LayerSpec* type = nullptr;
  std::vector<int> layers;
  Strategy strategy;
  std::string range() const;  // "1-4,7"
};
TRELLIS_API std::vector<StrategyGroup> strategy_groups(const Plan&, const ModelSpec&);

// Without this strategy, under whatever name, in these layers. Choices that have no candidate left are left out; the
// problem's start, too, if it is no longer in the space.
TRELLIS_API Problem without_strategy(const Problem&, const CostOracle&, const std::vector<int>& layers,
                                     const Strategy&);

// Without this dimension in any layer; "pp": without a pipeline. The rest as there.
TRELLIS_API Problem without_dimension(const Problem&, const CostOracle&, std::string_view dimension);

// The plans of the space that fit and differ from this one in one layer: of a run of equal layers in its first or last.
// Empty where the plan itself is not in the space.
TRELLIS_API std::vector<std::pair<Plan, PlanCost>> one_layer_changes(const Problem&, const CostOracle&, const Plan&);

// Whether both have the same strategies equally often in layers of each type, and the same global choice.
TRELLIS_API bool same_mix(const Plan&, const Plan&, const ModelSpec&);

// --- step time against memory ---

struct FrontPoint {
  Bytes asked{0};  // the largest budget that it was the answer to
  Bytes needs{0};  // the smallest budget in which its plan fits
  Answer answer;
};

// The plans that are the best of some budget, from the largest down; each is slower and smaller than the one before.
struct MemoryFront {
  std::vector<FrontPoint> points;
  std::optional<Answer> below;  // under the last point, where nothing was found:
  Bytes vain{0};                // in so much
  bool is_cut = false;          // there may be more points between these, or below
  bool is_proven = true;        // every answer was
  int solved = 0;
  double seconds = 0;  // of all solves
};
// All points, where there are so few; else as many, spread over the range: each is the answer for all budgets from
// `needs` to `asked`, and the largest differences between neighbors are looked into first. Uniform budgets only. Each
// solve starts from the best plan known that fits: a neighbor of another answer, say.
TRELLIS_API MemoryFront memory_front(Problem, const CostOracle&, const Solver&, Bytes from, Bytes to, int most_points);

// Of the points of a front at most so many, at least 1: the ends, and between them where a step takes longest to change.
TRELLIS_API std::vector<FrontPoint> spread_over(std::vector<FrontPoint>, std::size_t most);

// What a little more or less memory is worth at a plan's budget, which is that of all devices.
struct MemoryPrice {
  FrontPoint here;
  std::optional<FrontPoint> less;  // the best plan with 5 % less
  std::optional<FrontPoint> more;  // the smallest faster plan with at least 5 % more; where there is none, the fastest
  bool more_is_next = false;       // proven, to 1 %: nothing faster lies between 5 % more and `more`; or there is no `more`
  Answer unlimited;                      // with whatever memory
  // Seconds of a step for each GiB between two points: how much faster the one with more memory is.
  TRELLIS_API static double slope(const FrontPoint& smaller, const FrontPoint& larger);
};
// Nothing where no plan fits, or where budgets differ. `best`: what is known to be the answer at the problem's budget.
TRELLIS_API std::optional<MemoryPrice> price_of_memory(const Problem&, const CostOracle&, const Solver&,
                                                       const Answer& best);

// --- runner-ups ---

struct GroupRunnerUp {
  StrategyGroup group;
  Answer answer;  // the optimum without the group's strategy in layers of its type
};
struct DimensionRunnerUp {
  std::string dimension;
  Answer answer;  // the optimum without it
};
struct WhatIf {
  std::string outside;  // why the plan is not in the space; empty: it is
  PlanCost cost;        // of the plan
  Answer best;          // at the same budget: the best of all that was answered here, with the best bound
  std::vector<GroupRunnerUp> groups;
  std::vector<DimensionRunnerUp> dimensions;  // of those that the plan has, "pp" first
  Answer other_choice;  // the optimum with another global choice
  Answer other_mix;     // the optimum with the plan's choice and another multiset of strategies
  std::optional<MemoryPrice> price;
};
// The plan need not be the optimum.
TRELLIS_API WhatIf what_if(const Problem&, const CostOracle&, const Solver&, const Plan&);

// The stages whose memory is at least this share of their budget, the fullest first.
TRELLIS_API std::vector<int> full_stages(const Problem&, const Plan&, const PlanCost&, double share = 0.97);

// --- sweeps ---

// "memory=16GiB..80GiB", "memory=16GiB..80GiB:8GiB", "gpus=8,16,32", "batch=32..256", "sequence=1024..8192:1024". A
// range without a step doubles from its first value on; one of memory is the whole front instead.
struct Sweep {
  enum class Of { memory, gpus, batch, sequence };
  Of of = Of::memory;
  std::vector<std::int64_t> values;  // ascending, distinct; memory in bytes
  bool is_front = false;             // of memory from the first value to the last
};
// Error (usage) that says what was expected.
TRELLIS_API Sweep parse_sweep(std::string_view text);

// --- where nothing fits ---

// The problem with another batch or another number of devices; nothing where the space has none.
struct OtherProblems {
  std::function<std::optional<Problem>(std::int64_t batch)> with_batch;
  std::function<std::optional<Problem>(int devices)> with_devices;
  int most_devices = 0;
};

// The costs of another oracle, but that all plans are equally fast: a search ends with the first plan that fits.
class TRELLIS_API MemoryOnly final : public CostOracle {
 public:
  explicit MemoryOnly(const CostOracle& costs) : costs_(costs) {}
  LayerCost layer(int layer, const Candidate&, const Where&) const override;
  EdgeCost edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  EdgeCost stage_edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  TieCost tie(int owner, const Candidate&, int use, const Candidate&, bool same_stage, const Where&) const override;
  int alike(const GlobalChoice&, int stage) const override;
  LeastBusy least_busy(int layer, const GlobalChoice&) const override;
  Picoseconds step_overhead(const GlobalChoice&) const override;
  Slowdown slowdown() const override;
  const PipelineSchedule& schedule(const GlobalChoice&) const override;
  PlanCost step(const Plan&) const override;

 private:
  const CostOracle& costs_;
};

struct Shortage {
  Bytes lacks{0};  // the least by which every device's budget has to grow, that a plan was found for
  Plan plan;       // that plan
  PlanCost cost;
  int stage = 0;                      // of it, that lacks the most
  Bytes needs{0};                     // of that stage
  Bytes vain{0};                      // the most by which budgets grew in vain; near `lacks` unless time ran out
  bool is_least = false;              // proven: nothing fits there, and `lacks` is close to it
  std::optional<std::int64_t> batch;  // the largest halved one that fits in the budget
  std::optional<int> devices;         // the smallest doubled number that does
};
// Of a problem to which the answer was that nothing fits; `solver` solves with MemoryOnly costs. It begins nothing new
// after so many seconds for each of budget, batch and devices. Nothing where no plan fits in any memory.
TRELLIS_API std::optional<Shortage> shortage(const Problem&, const CostOracle&, const Solver& solver,
                                             const OtherProblems&, double seconds);

}  // namespace trellis
