// One global choice with the shapes that its layers share: everything that costs, asked for once, in dense tables.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "steps.h"
#include "trellis/plan/search.h"

namespace trellis::exact_search {

// A candidate of a kind of layer, with its costs in each variant of a stage.
struct Option {
  int candidate = 0;             // in Problem::candidates
  int stand_in = 0;              // the candidate that may take its place in every plan: itself, or one that makes it needless
  std::vector<LayerCost> costs;  // by stage variant
  int gather = 0;                // the level of its backward's, in Task::gathers
  int shapes = 0;                // which of Task::multiples it has
};

// Layers that have the same candidates.
struct Kind {
  int layer = 0;  // the first of them
  std::vector<Option> options;
  std::vector<bool> to_come;  // [a * options + b]: Task::no_worse_to_come
  // Options that a step from one layer to the next cannot tell apart: as its beginning, and as its end in the same
  // stage or in the next one. The first of each class stands for it.
  struct Classes {
    std::vector<int> of, first;  // by option: its class; by class: an option
  };
  Classes leaving, arriving, beginning;
};

// How many micro-batches are alive in a stage, and how its forward and backward times bound the step from below:
// step >= all stages' (forward + backward) + extra_forward * forward + extra_backward * backward of this stage.
struct StageShape {
  int variant = 0;
  int in_flight = 1;
  double extra_forward = 0, extra_backward = 0;
  // What this stage does between its first backward and its last forward, where it has them in that order. In front of
  // it a micro-batch goes from here to the last stage and back, and after it another one does:
  // step >= earlier stages' (forward + backward) + 2 (this one's and all later ones') + turns of this stage.
  bool turns = false;
  double turn_forward = 0, turn_backward = 0;
  Bytes budget{0};
};

// Budgets and variants are left open.
std::vector<StageShape> stage_shapes(const std::vector<std::vector<Action>>&);

// A cut into stages and an option for every layer.
struct Choice {
  std::vector<int> options;  // by layer, in its kind's options
  std::vector<int> ends;     // by stage: its last layer
  bool operator==(const Choice&) const = default;
};

// What plans of one batch are compared by; the less, the better.
struct Measure {
  Picoseconds step{0};
  Bytes largest{0};  // of all stages
  auto operator<=>(const Measure&) const = default;
};

struct PlanValue {
  Picoseconds step{0};
  Bytes largest{0};  // of all stages
  Measure measure() const { return {step, largest}; }
  bool fits = false;
  bool is_plan = false;  // its layers decide the shapes of the task: it fits where there is memory enough
  std::vector<Bytes> memory;
};

// Told of plans.
using MeetPlan = std::function<void(const Choice&, const PlanValue&)>;

// The most that a layer's states and update can be less because it shares parameters with an earlier one.
struct Saving {
  Bytes states{0};
  Picoseconds update{0};
};

class Task {
 public:
  // A bound and a proof need no candidate that another one stands for; an order of equals needs all.
  enum class Keep { undominated, all };
  Task(const Problem&, const CostOracle&, const GlobalChoice&, const SharedShapes&, Keep = Keep::undominated);

  // No stage may have more than this.
  void cap(Bytes most);
  // So much for every stage. Bounds that were made before keep what they had.
  void give(Bytes budget);

  // Nothing can be derived for some layer.
  bool impossible() const { return impossible_; }

  int layers() const { return static_cast<int>(kind_of_.size()); }
  int stages() const { return choice_.stages; }
  const GlobalChoice& choice() const { return choice_; }
  const SharedShapes& shapes() const { return shapes_; }
  Slowdown slowdown() const { return slowdown_; }
  const Kind& kind(int layer) const {
    return kinds_[static_cast<std::size_t>(kind_of_[static_cast<std::size_t>(layer)])];
  }
  const std::vector<Kind>& kinds() const { return kinds_; }
  int kind_number(int layer) const { return kind_of_[static_cast<std::size_t>(layer)]; }
  const StageShape& stage(int s) const { return stages_[static_cast<std::size_t>(s)]; }
  const std::vector<std::vector<Action>>& actions() const { return actions_; }
  Picoseconds overhead() const { return overhead_; }

  const LayerCost& cost(int layer, int option, int stage) const {
    return kind(layer)
        .options[static_cast<std::size_t>(option)]
        .costs[static_cast<std::size_t>(this->stage(stage).variant)];
  }
  // Between `layer` and the next one, in one stage; and from stage `stage` to the next.
  const EdgeCost& edge(int layer, int from, int to, int stage) const;
  const EdgeCost& stage_edge(int layer, int from, int to, int stage) const;
  // Whether the edges behind the layer cost the same out of both stages.
  bool leave_alike(int layer, int stage, int other) const;
  const Steps& steps() const { return *steps_; }

  // Levels of gathers in backward, ascending, the first is 0: for bounds, an option has the one below its own.
  const std::vector<Picoseconds>& gathers() const { return gathers_; }

  // What layers share. At most one entry has layer i as its use.
  const std::vector<SharedLayers>& shared() const { return shared_; }
  const TieCost& tie(std::size_t pair, int owner_option, int use_option, bool same_stage) const;
  Saving most_saved(int layer, int option) const;
  bool has_savings(int layer) const { return !savings_[static_cast<std::size_t>(layer)].empty(); }

  // Whether, as the last layer so far, option a of a layer's kind is nowhere worse for what comes than b.
  bool no_worse_to_come(int layer, int a, int b) const {
    const Kind& k = kind(layer);
    return k.to_come[static_cast<std::size_t>(a) * k.options.size() + static_cast<std::size_t>(b)];
  }

  // Which sets of batch and sequence multiples there are; joined() of two; whether a plan with these has the shapes.
  int joined(int a, int b) const { return joins_[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)]; }
  bool has_shapes(int multiples) const { return right_[static_cast<std::size_t>(multiples)]; }
  bool all_have_shapes() const { return all_right_; }

  const Strategy& strategy(int layer, int option) const { return candidate(layer, option).strategy; }
  PlanValue value(const Choice&) const;
  Plan plan(const Choice&) const;

  std::int64_t candidates_seen = 0, candidates_dominated = 0;

 private:
  struct Multiples {
    std::int64_t batch = 1, sequence = 1;
    bool operator==(const Multiples&) const = default;
  };
  void make_stages();
  void make_kinds();
  void find_stand_ins(Kind&, bool shares);
  void make_edges();
  void make_ties();
  void compare_to_come();
  void make_classes();
  int multiples_of(const Placement&);
  void join_multiples();
  const Candidate& candidate(int layer, int option) const;
  Where where(int stage) const { return {.choice = &choice_, .shapes = shapes_, .stage = stage}; }

  const Problem& problem_;
  const CostOracle& oracle_;
  const GlobalChoice choice_;
  const SharedShapes shapes_;
  const Slowdown slowdown_;
  const Keep keep_;
  bool impossible_ = false, all_right_ = true;
  std::vector<StageShape> stages_;
  std::vector<int> variants_;  // the stage that stands for each variant
  std::vector<std::vector<Action>> actions_;
  std::vector<int> kind_of_;
  std::vector<Kind> kinds_;
  std::vector<Picoseconds> gathers_;
  std::vector<SharedLayers> shared_;
  Picoseconds overhead_{0};
  // [pair][same stage][owner option * options of the use + use option]
  std::vector<std::vector<std::vector<TieCost>>> ties_;
  std::vector<std::vector<Saving>> savings_;  // [layer][option]; empty where it shares nothing with an earlier layer
  // Edges by pair of kinds; in each a table of costs, [from option][to option] -> cost.
  struct EdgeTable {
    std::vector<int> exit, entry;  // dense classes of the options
    int entries = 0;
    std::vector<std::vector<EdgeCost>> inside, leaving;  // by variant, by stage; [exit class * entries + entry class]
  };
  std::vector<std::vector<EdgeTable>> edges_;  // [kind][kind]; empty where no such neighbors are
  std::vector<Multiples> multiples_;
  std::vector<std::vector<int>> joins_;
  std::vector<bool> right_;
  std::unique_ptr<const Steps> steps_;
};

}  // namespace trellis::exact_search
