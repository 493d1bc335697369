// The step time and the memory of a plan as sums over its layers and edges, in integers: a max-plus recurrence in a
// fixed order for each resource. No result falls when a duration or a size grows, so that a bound on the parts is a
// bound on the whole, and a search can be exact about it. The finer replay of cost.h (price_plan, replay_memory) also
// sees what this leaves out, contention on the link across layers for one; the difference is model error.
//
// The pieces and where they come from: docs/planner.md.
#pragma once

#include <algorithm>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/schedule.h"
#include "trellis/plan/units.h"

namespace trellis {

// While a device computes and communicates, each is this many times slower; from 1 (they do not disturb one another) to
// 2 (overlap gains nothing). Kept in 1024ths, so that times stay integers.
class TRELLIS_API Slowdown {
 public:
  Slowdown() = default;
  explicit Slowdown(double factor);  // below 1 is 1, above 2 is 2
  // Busy for `busy`, in which the link carries `link`; meanwhile the link has to carry `more`, too.
  Picoseconds overlap(Picoseconds busy, Picoseconds link, Picoseconds more) const {
    return mix(std::max(busy, link + more), busy + more);
  }
  // (2 - k) a + (k - 1) b
  Picoseconds mix(Picoseconds a, Picoseconds b) const {
    const __int128 sum = static_cast<__int128>(a.value) * (1024 - beyond_) + static_cast<__int128>(b.value) * beyond_;
    return Picoseconds(static_cast<std::int64_t>(sum >> 10));
  }
  double factor() const { return 1 + beyond_ / 1024.0; }
  int beyond_one() const { return beyond_; }  // in 1024ths

 private:
  int beyond_ = 0;
};

// One pass of one layer on one micro-batch.
struct PassCost {
  Picoseconds busy{0};    // from its start to its end with nothing beside it
  Picoseconds link{0};    // of that, the link is in use; at most `busy`
  Picoseconds gather{0};  // of its parameters (ZeRO-3), hidden by the layer that runs before it
};

struct LayerCost {
  PassCost forward, backward;
  Picoseconds reduce_each{0};  // of gradients in every micro-batch (ZeRO-2, 3), hidden by the layer that runs next
  Picoseconds reduce_last{0};  // of gradients in the last micro-batch only, hidden by all that follows in its backward
  Picoseconds update{0};       // once a step, after the gradient norm

  Bytes states{0};         // parameters, gradients, optimizer
  Bytes kept{0};           // activations alive from forward to backward of one micro-batch
  Bytes forward_peak{0};   // most in forward, beyond states and what earlier layers keep; with its gathered parameters
  Bytes backward_peak{0};  // the same in backward
  Bytes last_peak{0};      // the same in the last micro-batch's backward, which also reduces
  Bytes gathered{0};       // its parameters, gathered ahead while a neighbor runs
  Bytes held{0};           // gradients under reduction while the next layer's backward runs
  Bytes pending{0};        // staging of reductions from the last backward to the update
  Bytes early{0};          // staging of reductions that begin in the last micro-batch's forward (a loss's table)
  Bytes update_bytes{0};   // staging of the update

  // How values enter and leave: the costs of an edge depend on the exit of one layer and the entry of the next alone.
  int entry = 0, exit = 0;
};

struct EdgeCost {
  Picoseconds forward{0}, backward{0};            // redistribution, nothing hides it
  Picoseconds send_forward{0}, send_backward{0};  // between stages: the transfer
  Bytes bytes{0};                                 // alive while values are redistributed
  Bytes sent{0};                                  // between stages: what one send holds until it is received
  Bytes kept{0};                                  // of values that the layer before carries and reads in backward: those
                                                  // that the layer after does not keep for both
  bool operator==(const EdgeCost&) const = default;
};

struct TieCost {
  Picoseconds before{0}, after{0};  // the gradient to the owner, before the norm; the parameter back, after the update
  Bytes saved{0};                   // of the later layer's states: both are one, or it has no optimizer
  Picoseconds saved_update{0};      // of the later layer's update: one optimizer
  Bytes bytes{0};                   // alive meanwhile
  Bytes pending{0};                 // staging of the later layer's reduction, beyond what it has by itself
  bool operator==(const TieCost&) const = default;
};

// The sums of a stage's layers from its first on. All members are public: labels of a search compare them.
struct TRELLIS_API StageSum {
  int layers = 0;
  // Time: of all layers but the last one pushed, whose neighbor is not known yet.
  Picoseconds forward{0}, backward{0};
  Picoseconds reduced{0};   // backward of the last micro-batch until its reductions end, were it these layers alone
  Picoseconds reducing{0};  // all transfers of reductions of the last micro-batch
  Picoseconds gather{0};    // in backward: of the layer before the last one
  Picoseconds update{0};
  // Memory: likewise; `kept` of all layers but the last.
  Bytes states{0}, kept{0}, gathered{0};
  Bytes peak{0};       // beyond states and what other micro-batches keep
  Bytes last_peak{0};  // the same in the last backward, when no other micro-batch is alive
  Bytes early{0}, update_bytes{0};

  // A further layer; `last` is the one pushed before, with the edge from it to `next`.
  void push(const LayerCost& next, const LayerCost* last, const EdgeCost* edge, Slowdown);
  bool operator==(const StageSum&) const = default;
};

// A stage that is complete.
struct StageTotal {
  Picoseconds forward{0}, backward{0};
  Picoseconds last_backward{0};  // until all reductions have ended
  Picoseconds update{0};
  Picoseconds send_forward{0}, send_backward{0};
  Bytes states{0}, kept{0}, peak{0}, last_peak{0}, early{0}, update_bytes{0}, sent{0};

  // With so many micro-batches alive at the most.
  TRELLIS_API Bytes memory(int in_flight) const;
  // A later layer of this stage shares a parameter with an earlier layer of the model.
  TRELLIS_API void share(const TieCost&);
};
// `last` is the last layer pushed. `leaving`: the edge to the next stage; `arriving`: the one from the stage before.
TRELLIS_API StageTotal close(const StageSum&, const LayerCost& last, const EdgeCost* leaving, const EdgeCost* arriving,
                             Slowdown);

// When the last stage has ended its last action and reduction. Sends do not block; one link an edge and direction
// carries them in order. actions[s] are those of stage s.
TRELLIS_API Picoseconds pipeline_time(const std::vector<StageTotal>&, const std::vector<std::vector<Action>>& actions);

// The step: the pipeline, then all wait for the gradient norm, then the longest update.
TRELLIS_API Picoseconds step_time(const std::vector<StageTotal>&, const std::vector<std::vector<Action>>& actions,
                                  const std::vector<TieCost>&, Picoseconds overhead);

}  // namespace trellis
