// Ranks as threads over Gloo on the loopback interface: what processes do, without starting any.
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <fmt/format.h>

#include "run/comm/gloo.h"
#include "run/comm/stores.h"
#include "run/comm/thread_transport.h"

namespace trellis {
namespace {

class GlooThreadTransport final : public ThreadTransport {
 public:
  GlooThreadTransport(int size, int timeout_seconds) : size_(size), timeout_seconds_(timeout_seconds) {}

  std::unique_ptr<GroupedWorld> join(int rank) override {
    return gloo_world(store_, rank, size_,
                      {.transport = Transport::gloo, .timeout_seconds = timeout_seconds_, .interface = "lo"});
  }
  void failed(int rank, GroupedWorld* world, const std::string& reason) override {
    abort_thread_store(*store_, fmt::format("rank {} failed: {}", rank, reason));
    if (world) abort_gloo_world(*world);
  }
  // Whoever waits for this rank meets the time limit: Gloo has no word for a peer that is done.
  void finished(int) override {}
  void reset() override {}

 private:
  int size_;
  int timeout_seconds_;
  StorePtr store_ = thread_store();
};

}  // namespace

std::unique_ptr<ThreadTransport> gloo_thread_transport(int size, int timeout_seconds) {
  return std::make_unique<GlooThreadTransport>(size, timeout_seconds);
}

}  // namespace trellis
