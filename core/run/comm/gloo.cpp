#include "run/comm/gloo.h"

#include <ATen/ops/empty.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "run/comm/checked_comm.h"
#include "run/comm/rank_sum.h"
#include "run/comm/stores.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using C10Work = c10::intrusive_ptr<c10d::Work>;
using Milliseconds = std::chrono::milliseconds;

// Below c10d's limit for tags, above those that CheckedComm lets pass. Messages of one pair and tag arrive in order,
// and all members start the operations of a group in one order, so one tag is enough for all of them.
constexpr int kExchangeTag = 1 << 30;

// Up to this size an all-reduce is a direct exchange: one round of messages instead of a ring's 2 (n - 1).
constexpr std::size_t kDirectSumBytes = 64 * 1024;

class GlooGroup final : public c10d::ProcessGroupGloo {
 public:
  using ProcessGroupGloo::ProcessGroupGloo;

  // Gloo's workers would otherwise hold a failed rank in its destructor until their operations time out.
  void abort() override {
    for (auto& context : contexts_) context->closeConnections();
  }
};

at::Tensor piece(const at::Tensor& tensor, int p, int n) {
  const auto length = tensor.numel() / n;
  return tensor.view(-1).narrow(0, p * length, length);
}

// Several transfers that are waited on as one, and what remains to be done after them.
class GlooWork final : public Work {
 public:
  GlooWork(std::string what, Milliseconds timeout, std::vector<C10Work> parts, std::function<void()> finish = {})
      : what_(std::move(what)), timeout_(timeout), parts_(std::move(parts)), finish_(std::move(finish)) {}

  void wait() override {
    try {
      for (auto& part : parts_) part->wait(timeout_);
    } catch (const std::exception& e) {
      throw Error(ExitCode::rank_failed, fmt::format("{}: {}", what_, brief(e)));
    }
    parts_.clear();
    if (finish_) std::exchange(finish_, {})();
  }

 private:
  std::string what_;
  Milliseconds timeout_;
  std::vector<C10Work> parts_;
  std::function<void()> finish_;
};

class GlooComm final : public Comm {
 public:
  GlooComm(c10::intrusive_ptr<GlooGroup> group, std::string name, Milliseconds timeout)
      : group_(std::move(group)), name_(std::move(name)), timeout_(timeout) {}

  int rank() const override { return group_->getRank(); }
  int size() const override { return group_->getSize(); }
  GlooGroup& process_group() { return *group_; }

  WorkPtr all_gather(at::Tensor out, at::Tensor in) override {
    return guarded("all_gather", [&] {
      piece(out, rank(), size()).copy_(in.view(-1));
      return exchange([&](int) { return in; }, [&](int p) { return piece(out, p, size()); });
    });
  }

  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override {
    return guarded("all_to_all", [&] {
      piece(out, rank(), size()).copy_(piece(in, rank(), size()));
      return exchange([&](int p) { return piece(in, p, size()); }, [&](int p) { return piece(out, p, size()); });
    });
  }

  // Gloo's own costs more than its all-reduce.
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override {
    auto parts = staging(out, piece(in, rank(), size()));
    auto pieces = [&](int p) { return piece(in, p, size()); };
    return guarded("reduce_scatter",
                   [&] { return exchange(pieces, [&](int p) { return parts[static_cast<std::size_t>(p)]; }); },
                   [out, parts] { sum_in_rank_order(out, parts); });
  }

  WorkPtr all_reduce(at::Tensor inout) override {
    if (inout.nbytes() > kDirectSumBytes)
      return guarded("all_reduce", [&] {
        std::vector<at::Tensor> tensors{inout};
        return std::vector{group_->allreduce(tensors)};
      });
    auto parts = staging(inout, inout);
    return guarded("all_reduce",
                   [&] {
                     return exchange([&](int) { return inout; },
                                     [&](int p) { return parts[static_cast<std::size_t>(p)]; });
                   },
                   [inout, parts] { sum_in_rank_order(inout, parts); });
  }

  WorkPtr broadcast(at::Tensor inout, int root) override {
    return guarded("broadcast", [&] {
      c10d::BroadcastOptions options;
      options.rootRank = root;
      std::vector<at::Tensor> tensors{inout};
      return std::vector{group_->broadcast(tensors, options)};
    });
  }

  WorkPtr send(at::Tensor in, int to, int tag) override {
    return guarded("send", [&] { return std::vector{send_to(in, to, tag)}; });
  }
  WorkPtr receive(at::Tensor out, int from, int tag) override {
    return guarded("receive", [&] { return std::vector{receive_from(out, from, tag)}; });
  }

  void barrier() override {
    at::Tensor sent = at::empty({1}, at::kByte);
    at::Tensor received = at::empty({size()}, at::kByte);
    guarded("barrier", [&] {
      return exchange([&](int) { return sent; }, [&](int p) { return piece(received, p, size()); });
    })->wait();
  }

 private:
  // Starts transfers; whatever Gloo throws becomes an Error that names the operation and the group.
  template <class Start>
  WorkPtr guarded(const char* operation, Start start, std::function<void()> finish = {}) {
    const std::string what = fmt::format("{} in group {}", operation, name_);
    try {
      return std::make_unique<GlooWork>(what, timeout_, start(), std::move(finish));
    } catch (const std::exception& e) {
      throw Error(ExitCode::rank_failed, fmt::format("{}: {}", what, brief(e)));
    }
  }

  C10Work send_to(const at::Tensor& tensor, int to, int tag) {
    std::vector<at::Tensor> tensors{tensor};
    return group_->send(tensors, to, tag);
  }
  C10Work receive_from(const at::Tensor& tensor, int from, int tag) {
    std::vector<at::Tensor> tensors{tensor};
    return group_->recv(tensors, from, tag);
  }

  // To and from every other member, the next one first, so that not all begin with rank 0. Receives are posted first:
  // a transfer starts when both ends are.
  template <class Outgoing, class Incoming>
  std::vector<C10Work> exchange(Outgoing outgoing, Incoming incoming) {
    std::vector<C10Work> works;
    for (int step = 1; step < size(); ++step) {
      const int from = (rank() + size() - step) % size();
      works.push_back(receive_from(incoming(from), from, kExchangeTag));
    }
    for (int step = 1; step < size(); ++step) {
      const int to = (rank() + step) % size();
      works.push_back(send_to(outgoing(to), to, kExchangeTag));
    }
    return works;
  }

  // A buffer for each member's contribution; this rank's own needs none.
  std::vector<at::Tensor> staging(const at::Tensor& like, const at::Tensor& own) const {
    const CountMemory count(Purpose::communication);
    const at::Tensor buffer = at::empty({size() - 1, like.numel()}, like.options());
    std::vector<at::Tensor> parts;
    for (int p = 0; p < size(); ++p) parts.push_back(p == rank() ? own.view(-1) : buffer.select(0, p - (p > rank())));
    return parts;
  }

  c10::intrusive_ptr<GlooGroup> group_;
  std::string name_;
  Milliseconds timeout_;
};

class GlooWorld final : public GroupedWorld {
 public:
  GlooWorld(c10::intrusive_ptr<c10d::Store> store, int rank, int size, const CommOptions& options)
      : GroupedWorld(rank, size),
        store_(std::move(store)),
        timeout_(std::chrono::seconds(options.timeout_seconds)),
        device_(make_device(options.interface)) {
    create_world_group();
  }

  ~GlooWorld() override { abort(); }

  void shutdown() override {
    if (!connected()) return;
    world().barrier();
    leave_store(*store_, rank(), size());
    groups_in_use_.clear();
    drop_groups();
  }

  void abort() {
    for (auto& group : groups_in_use_) group->abort();
  }

 private:
  static std::shared_ptr<gloo::transport::Device> make_device(const std::string& interface) {
    try {
      return interface.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                               : c10d::ProcessGroupGloo::createDeviceForInterface(interface);
    } catch (const std::exception& e) {
      throw Error(ExitCode::bad_input, fmt::format("Gloo cannot use network interface '{}': {}", interface, brief(e)),
                  "`ip -brief address` lists this machine's interfaces");
    }
  }

  std::unique_ptr<Comm> make_group(const std::vector<int>& ranks, int rank) override {
    const std::string name = group_name(ranks);
    auto options = c10d::ProcessGroupGloo::Options::create(timeout_);
    options->devices.push_back(device_);
    options->threads = 1;
    try {
      store_->setTimeout(timeout_);
      auto prefixed = c10::make_intrusive<c10d::PrefixStore>("g:" + name, store_);
      auto group = c10::make_intrusive<GlooGroup>(prefixed, rank, static_cast<int>(ranks.size()), options);
      groups_in_use_.push_back(group);
      return std::make_unique<GlooComm>(group, name, timeout_);
    } catch (const std::exception& e) {
      throw Error(ExitCode::rank_failed, fmt::format("connecting group {}: {}", name, brief(e)));
    }
  }

  c10::intrusive_ptr<c10d::Store> store_;
  Milliseconds timeout_;
  std::shared_ptr<gloo::transport::Device> device_;
  std::vector<c10::intrusive_ptr<GlooGroup>> groups_in_use_;
};

}  // namespace

std::unique_ptr<GroupedWorld> gloo_world(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
                                         const CommOptions& options) {
  return std::make_unique<GlooWorld>(std::move(store), rank, size, options);
}

void abort_gloo_world(GroupedWorld& world) {
  if (auto* gloo = dynamic_cast<GlooWorld*>(&world)) gloo->abort();
}

}  // namespace trellis
