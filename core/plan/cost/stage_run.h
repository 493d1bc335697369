// One stage on the finer replay's timeline: a micro-batch, the last one, and the update by what takes its time.
// Internal to the plan side and to the hosts that tell of it.
#pragma once

#include <string>
#include <vector>

#include "plan/cost/timeline.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/export.h"

namespace trellis {

// Of what follows the last backward; the sum is StageCost::update.
struct UpdateParts {
  Picoseconds slowed{0};     // the last backward is so much longer than the others, beside reductions of gradients
  Picoseconds reducing{0};   // waiting for reductions after it
  Picoseconds norm{0};       // of the gradients, over all devices
  Picoseconds optimizer{0};  // AdamW, had it the device to itself
  Picoseconds gathering{0};  // of updated parameters (ZeRO-1 and 2): waiting, and by how much AdamW is slower meanwhile
  Picoseconds sharing{0};    // of parameters that several layers have
  Picoseconds exposed_reduction() const { return slowed + reducing; }
  Picoseconds total() const { return slowed + reducing + norm + optimizer + gathering + sharing; }
  bool operator==(const UpdateParts&) const = default;
};
// "gradient reduction 25.48 ms (15.12 ms by slowing the last backward), optimizer 1.53 ms"; what takes no time is left
// out, but for the optimizer.
TRELLIS_API std::string update_text(const UpdateParts&);

// What a layer adds to its stage's micro-batch. Layers add up to their stage.
struct LayerTimes {
  Picoseconds forward{0}, backward{0};
  Picoseconds surplus{0};  // of backward, in the last micro-batch
};

struct StageRun {
  StageTimes times;
  Picoseconds exposed{0};                 // of forward and backward: waiting for communication
  Picoseconds before_norm{0}, after{0};   // of the update: until the norm, which waits for all stages, and from it on
  UpdateParts update;
  std::vector<LayerTimes> layers;         // of the stage, in order
};
TRELLIS_API StageRun run_stage(const CompiledPlan&, int stage, const Prices&);

// The step of price_plan(), and what it is made of, without the memory.
struct StepReplay {
  Picoseconds step{0};
  std::vector<StageRun> stages;
  std::vector<std::vector<Action>> actions;  // of each stage
};
TRELLIS_API StepReplay replay_step(const CompiledPlan&, const PipelineSchedule&, const Prices&);

}  // namespace trellis
