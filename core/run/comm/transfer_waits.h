// The waits of one rank for Gloo's transfers, which another thread can end.
//
// A peer that is gone closes its connections, and Gloo ends the transfers with it; but not always: one that is posted
// while its connection closes may wait until its time limit. Ranks of one process do not depend on it.
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include <torch/csrc/distributed/c10d/Work.hpp>

namespace trellis {

using Transfers = std::vector<c10::intrusive_ptr<c10d::Work>>;

// Thread-safe.
class TransferWaits {
 public:
  // Throws what Gloo throws, or a std::runtime_error with the reason of give_up().
  void wait(Transfers& transfers, std::chrono::milliseconds timeout);
  // Ends all waits, now and later. The first reason stays.
  void give_up(const std::string& reason);

 private:
  std::mutex mutex_;
  std::string reason_;
  std::list<Transfers*> waiting_;
};

}  // namespace trellis
