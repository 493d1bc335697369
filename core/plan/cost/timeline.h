// Time of instruction lists and of a pipeline's schedule: max-plus recurrences in integer picoseconds, in a fixed order
// for each resource. No result falls when a duration grows. Internal to the plan side.
#pragma once

#include <map>
#include <vector>

#include "trellis/plan/profile.h"
#include "trellis/plan/schedule.h"

namespace trellis {

// A device that computes, and its link that works off transfers in order. While both work each is `slowdown` times
// slower: the backlog w hides min(w, b) of a computation b, which then takes b + (slowdown - 1) min(w, b).
class Timeline {
 public:
  explicit Timeline(double slowdown) : slowdown_(slowdown) {}

  void compute(Picoseconds);
  Picoseconds start(Picoseconds transfer);  // returns the transfer's place in the queue
  void wait(Picoseconds place);             // until the queue is worked off up to there
  void wait_all() { wait(queued_); }

  Picoseconds now() const { return now_; }
  Picoseconds backlog() const { return queued_ - drained_; }
  Picoseconds exposed() const { return exposed_; }  // time spent in waits

 private:
  double slowdown_;
  Picoseconds now_{0}, queued_{0}, drained_{0}, exposed_{0};
};

// Runs a list; `last` says whether the instructions for the last micro-batch run too.
struct ListRunner {
  const StageProgram& stage;
  const Prices& prices;
  const DeriveContext& context;
  Location at;
  bool last = true;

  // Where transfers that were started wait to be joined: by destination slot, by bucket.
  std::map<SlotId, Picoseconds> moves;
  std::map<BucketId, Picoseconds> gathers, reductions;

  void run(const Instructions&, Timeline&);
  void run(const Instruction&, Timeline&);
};

struct StageTimes {
  Picoseconds forward{0}, backward{0};
  Picoseconds last_backward{0};                   // with the start of the gradients' reductions
  Picoseconds backlog{0};                         // transfers left after it
  Picoseconds send_forward{0}, send_backward{0};  // transfer to the next, to the previous stage
};
// When each stage has ended its last action. Sends do not block; one link an edge and direction carries them in order.
std::vector<Picoseconds> replay_schedule(const std::vector<StageTimes>&, const std::vector<std::vector<Action>>&);

}  // namespace trellis
