// The in-memory transport: a fast test double with the rules of a real one.
#include <fmt/format.h>

#include "run/comm/memory_hub.h"
#include "run/comm/thread_transport.h"

namespace trellis {
namespace {

class MemoryWork final : public Work {
 public:
  MemoryWork(MemoryHub& hub, std::shared_ptr<MemoryMeeting> meeting, int self)
      : hub_(hub), meeting_(std::move(meeting)), self_(self) {}
  void wait() override { hub_.wait(*meeting_, self_); }

 private:
  MemoryHub& hub_;
  std::shared_ptr<MemoryMeeting> meeting_;
  int self_;  // global rank
};

class MemoryComm final : public Comm {
 public:
  MemoryComm(MemoryHub& hub, std::vector<int> ranks, int rank) : hub_(hub), ranks_(std::move(ranks)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(ranks_.size()); }

  WorkPtr all_gather(at::Tensor out, at::Tensor in) override { return start({MemoryOp::all_gather, out, in, 0}); }
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override {
    return start({MemoryOp::reduce_scatter, out, in, 0});
  }
  WorkPtr all_reduce(at::Tensor inout) override { return start({MemoryOp::all_reduce, inout, inout, 0}); }
  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override { return start({MemoryOp::all_to_all, out, in, 0}); }
  WorkPtr broadcast(at::Tensor inout, int root) override { return start({MemoryOp::broadcast, inout, inout, root}); }
  WorkPtr send(at::Tensor in, int to, int tag) override {
    return wrap(hub_.start_transfer(ranks_, rank_, to, tag, true, std::move(in)));
  }
  WorkPtr receive(at::Tensor out, int from, int tag) override {
    return wrap(hub_.start_transfer(ranks_, from, rank_, tag, false, std::move(out)));
  }
  void barrier() override { start({})->wait(); }

 private:
  WorkPtr start(MemoryPost post) { return wrap(hub_.start(ranks_, rank_, std::move(post))); }
  WorkPtr wrap(std::shared_ptr<MemoryMeeting> meeting) {
    return std::make_unique<MemoryWork>(hub_, std::move(meeting), ranks_[static_cast<std::size_t>(rank_)]);
  }

  MemoryHub& hub_;
  std::vector<int> ranks_;
  int rank_;
};

class MemoryWorld final : public GroupedWorld {
 public:
  MemoryWorld(MemoryHub& hub, int rank, int size) : GroupedWorld(rank, size), hub_(hub) { create_world_group(); }
  void shutdown() override {
    world().barrier();
    drop_groups();
  }

 private:
  std::unique_ptr<Comm> make_group(const std::vector<int>& ranks, int rank) override {
    return std::make_unique<MemoryComm>(hub_, ranks, rank);
  }

  MemoryHub& hub_;
};

class MemoryTransport final : public ThreadTransport {
 public:
  MemoryTransport(int size, int timeout_seconds) : hub_(size, std::chrono::seconds(timeout_seconds)), size_(size) {}

  std::unique_ptr<GroupedWorld> join(int rank) override { return std::make_unique<MemoryWorld>(hub_, rank, size_); }
  void failed(int rank, const std::string& reason) override { hub_.fail(rank, reason); }
  void finished(int rank) override { hub_.finish(rank); }
  void reset() override { hub_.reset(); }

 private:
  MemoryHub hub_;
  int size_;
};

}  // namespace

std::unique_ptr<ThreadTransport> memory_transport(int size, int timeout_seconds) {
  return std::make_unique<MemoryTransport>(size, timeout_seconds);
}

}  // namespace trellis
