// Time of instruction lists and of a pipeline's schedule: max-plus recurrences in integer picoseconds, in a fixed order
// for each resource. No result falls when a duration grows. Internal to the plan side.
#pragma once

#include <map>
#include <vector>

#include "trellis/plan/profile.h"
#include "trellis/plan/schedule.h"

namespace trellis {

// A device that computes, and its link. Transfers go in two queues, each in order: moves of values, for which the
// program soon waits, and reductions of gradients, which go on beside all else. While both queues have transfers each
// gets half of the link. While device and link work each is `slowdown` times slower: the backlog w hides min(w, b) of a
// computation b, which then takes b + (slowdown - 1) min(w, b).
class Timeline {
 public:
  enum class Queue { moves, reductions };

  explicit Timeline(double slowdown) : slowdown_(slowdown) {}

  void compute(Picoseconds);
  Picoseconds start(Picoseconds transfer, Queue = Queue::moves);  // returns the transfer's place in its queue
  void wait(Picoseconds place, Queue = Queue::moves);             // until the queue is worked off up to there
  void wait_all();

  Picoseconds now() const { return now_; }
  Picoseconds backlog() const { return queues_[0].left() + queues_[1].left(); }
  Picoseconds exposed() const { return exposed_; }  // time spent in waits

 private:
  struct Backlog {
    Picoseconds queued{0}, drained{0};
    Picoseconds left() const { return queued - drained; }
  };
  Backlog& of(Queue queue) { return queues_[queue == Queue::moves ? 0 : 1]; }
  Backlog& beside(Queue queue) { return queues_[queue == Queue::moves ? 1 : 0]; }
  void work_off(Picoseconds link);

  double slowdown_;
  Picoseconds now_{0}, exposed_{0};
  Backlog queues_[2];
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
