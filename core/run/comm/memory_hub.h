// Where the threads of the in-memory transport meet.
//
// Starting an operation only leaves a rank's tensors here. Once all members have, the first rank that waits does the
// copies and sums of all of them; so a rank waits for the others' starts, never for their waits, as on a real network.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace trellis {

enum class MemoryOp { all_gather, reduce_scatter, all_reduce, all_to_all, broadcast, send_recv, barrier };

// What one rank brings to an operation.
struct MemoryPost {
  MemoryOp op = MemoryOp::barrier;
  at::Tensor out, in;
  int root = 0;
};

// One operation of one group. Guarded by the hub's mutex, but for the posts while `running`.
struct MemoryMeeting {
  enum class State { gathering, ready, running, done };

  explicit MemoryMeeting(std::vector<int> members)
      : ranks(std::move(members)), posts(ranks.size()), present(ranks.size()) {}

  std::vector<int> ranks;  // global
  std::vector<MemoryPost> posts;
  std::vector<bool> present;
  std::size_t arrived = 0;
  State state = State::gathering;
  std::string error;  // why the posts do not fit together
  std::condition_variable changed;
};

class MemoryHub {
 public:
  MemoryHub(int size, std::chrono::seconds timeout);

  // `rank` is the position in `ranks`. Matched with the other members by order of calls.
  std::shared_ptr<MemoryMeeting> start(const std::vector<int>& ranks, int rank, MemoryPost post);
  // Matched by group, both ends and tag, in order.
  std::shared_ptr<MemoryMeeting> start_transfer(const std::vector<int>& ranks, int from, int to, int tag, bool sending,
                                                at::Tensor tensor);
  // `self` is the caller's global rank. Throws Error (rank_failed).
  void wait(MemoryMeeting& meeting, int self);

  void fail(int rank, const std::string& reason);  // wakes all
  void finish(int rank);                           // wakes those who wait for this rank
  void reset();                                    // throws Error if meetings are left that not all have come to

 private:
  using Meetings = std::deque<std::shared_ptr<MemoryMeeting>>;
  struct Transfer {
    std::vector<int> ranks;
    int from, to, tag;
    auto operator<=>(const Transfer&) const = default;
  };

  static void arrive(MemoryMeeting& meeting, std::size_t member, MemoryPost post);
  std::string broken(const MemoryMeeting& meeting) const;  // why it can never be complete, or empty
  void wake_all();

  std::mutex mutex_;
  std::chrono::seconds timeout_;
  std::string failure_;         // of the first rank that failed
  std::vector<bool> finished_;  // by global rank
  std::map<std::vector<int>, Meetings> open_;
  std::map<Transfer, Meetings> transfers_;
};

}  // namespace trellis
