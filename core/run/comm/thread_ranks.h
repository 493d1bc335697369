// Ranks as threads of this process, whose groups live across several bodies: many short tests on the same ranks.
#pragma once

#include "trellis/run/comm.h"

namespace trellis {

class TRELLIS_API ThreadRanks {
 public:
  // Over Gloo on the loopback interface, or over plain memory. Nothing is connected before the first run().
  explicit ThreadRanks(int size, bool in_memory, int timeout_seconds = 60);
  ~ThreadRanks();
  ThreadRanks(const ThreadRanks&) = delete;
  ThreadRanks& operator=(const ThreadRanks&) = delete;

  // Runs body(world) on every rank's thread and returns when all have ended. When one throws, the others end with an
  // Error (rank_failed) at their next wait; the first error is rethrown, and the next run() connects afresh.
  void run(const std::function<void(CommWorld&)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trellis
