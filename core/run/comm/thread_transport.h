// What ThreadRanks needs of a way to connect threads. All functions are called by the ranks' threads, at any time.
#pragma once

#include "run/comm/grouped_world.h"

namespace trellis {

class ThreadTransport {
 public:
  virtual ~ThreadTransport() = default;
  // Called once on each rank's thread; all ranks join at the same time.
  virtual std::unique_ptr<GroupedWorld> join(int rank) = 0;
  // The rank has failed: all others end with an error that names it. Their worlds are alive until all have ended.
  virtual void failed(int rank, const std::string& reason) = 0;
  // The rank has left its body: nobody can wait for it any more.
  virtual void finished(int rank) = 0;
  // Between two bodies, on one thread. Throws Error where operations were started and never met by their peers.
  virtual void reset() = 0;
};

std::unique_ptr<ThreadTransport> memory_transport(int size, int timeout_seconds);
std::unique_ptr<ThreadTransport> gloo_thread_transport(int size, int timeout_seconds);

}  // namespace trellis
