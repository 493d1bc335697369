// Ranks as threads over Gloo on the loopback interface: what processes do, without starting any.
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <fmt/format.h>

#include <mutex>

#include "run/comm/gloo.h"
#include "run/comm/stores.h"
#include "run/comm/thread_transport.h"

namespace trellis {
namespace {

class GlooThreadTransport final : public ThreadTransport {
 public:
  GlooThreadTransport(int size, int timeout_seconds) : size_(size), timeout_seconds_(timeout_seconds) {}

  std::unique_ptr<GroupedWorld> join(int rank) override {
    auto world = gloo_world(store_, rank, size_,
                            {.transport = Transport::gloo, .timeout_seconds = timeout_seconds_, .interface = "lo"});
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) give_up_gloo_world(*world, failure_);
    worlds_.push_back(world.get());
    return world;
  }
  void failed(int rank, const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = fmt::format("rank {} failed: {}", rank, reason);
    abort_thread_store(*store_, failure_);
    for (GroupedWorld* world : worlds_) give_up_gloo_world(*world, failure_);
  }
  // Whoever waits for this rank meets the time limit: Gloo has no word for a peer that is done.
  void finished(int) override {}
  void reset() override {}

 private:
  int size_;
  int timeout_seconds_;
  StorePtr store_ = thread_store();
  std::mutex mutex_;
  std::string failure_;  // of the first rank that failed
  std::vector<GroupedWorld*> worlds_;
};

}  // namespace

std::unique_ptr<ThreadTransport> gloo_thread_transport(int size, int timeout_seconds) {
  return std::make_unique<GlooThreadTransport>(size, timeout_seconds);
}

}  // namespace trellis
