#include "run/comm/gloo.h"

#include <ATen/ops/empty.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "plan/program/staging.h"
#include "run/comm/checked_comm.h"
#include "run/comm/rank_sum.h"
#include "run/comm/serial_worker.h"
#include "run/comm/stores.h"
#include "run/comm/transfer_waits.h"
#include "run/memory/memory_counter.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using Transfer = c10::intrusive_ptr<c10d::Work>;
using Milliseconds = std::chrono::milliseconds;

// Messages of one pair and tag arrive in order, and all members start a group's operations in one order, so one tag is
// enough for all operations of one round, and one more for each of the two rounds of a large all-reduce, the second of
// which is started by the group's worker. CheckedComm lets no tag as large as these pass.
constexpr int kExchangeTag = 1 << 30, kScatterTag = kExchangeTag + 1, kGatherTag = kExchangeTag + 2;

// Up to this size everyone sends all of its summands to everyone: one round of messages instead of two.
constexpr auto kOneRoundBytes = static_cast<std::size_t>(kOneRoundAllReduce.value);

// The p-th of n pieces, equal but for rounding.
at::Tensor piece(const at::Tensor& tensor, int p, int n) {
  const std::int64_t begin = tensor.numel() * p / n, end = tensor.numel() * (p + 1) / n;
  return tensor.view(-1).narrow(0, begin, end - begin);
}

// Whatever Gloo throws becomes an Error that names the operation and the group.
template <class Function>
auto translated(const std::string& what, Function function) {
  try {
    return function();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(ExitCode::rank_failed, fmt::format("{}: {}", what, brief(e)));
  }
}

// Transfers that are waited for as one, and what is left to do after them.
class TransferWork final : public Work {
 public:
  TransferWork(std::string what, std::shared_ptr<TransferWaits> waits, Milliseconds timeout, Transfers transfers,
               std::function<void()> finish)
      : what_(std::move(what)),
        waits_(std::move(waits)),
        timeout_(timeout),
        transfers_(std::move(transfers)),
        finish_(std::move(finish)) {}

  void wait() override {
    translated(what_, [&] {
      waits_->wait(transfers_, timeout_);
      transfers_.clear();
      if (finish_) std::exchange(finish_, {})();
    });
  }

 private:
  std::string what_;
  std::shared_ptr<TransferWaits> waits_;
  Milliseconds timeout_;
  Transfers transfers_;
  std::function<void()> finish_;
};

// A job of the group's worker.
class JobWork final : public Work {
 public:
  // `staging` lives until the wait, whenever the job ends: so the memory of a step does not depend on timing.
  JobWork(std::string what, std::future<void> job, std::shared_ptr<const void> staging)
      : what_(std::move(what)), job_(std::move(job)), staging_(std::move(staging)) {}
  void wait() override {
    if (job_.valid()) translated(what_, [&] { job_.get(); });
    staging_.reset();
  }

 private:
  std::string what_;
  std::future<void> job_;
  std::shared_ptr<const void> staging_;
};

class GlooComm final : public Comm {
 public:
  GlooComm(c10::intrusive_ptr<c10d::ProcessGroupGloo> group, std::string name, std::shared_ptr<TransferWaits> waits,
           Milliseconds timeout)
      : group_(std::move(group)), name_(std::move(name)), waits_(std::move(waits)), timeout_(timeout) {}

  int rank() const override { return group_->getRank(); }
  int size() const override { return group_->getSize(); }

  WorkPtr all_gather(at::Tensor out, at::Tensor in) override {
    piece(out, rank(), size()).copy_(in.view(-1));
    return start(
        "all_gather", kExchangeTag, [&](int) { return in; }, [&](int p) { return piece(out, p, size()); });
  }

  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override {
    piece(out, rank(), size()).copy_(piece(in, rank(), size()));
    return start(
        "all_to_all", kExchangeTag, [&](int p) { return piece(in, p, size()); },
        [&](int p) { return piece(out, p, size()); });
  }

  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override {
    const auto parts = staging(piece(in, rank(), size()));
    return start(
        "reduce_scatter", kExchangeTag, [&](int p) { return piece(in, p, size()); },
        [&](int p) { return parts[static_cast<std::size_t>(p)]; }, [out, parts] { sum_in_rank_order(out, parts); });
  }

  WorkPtr all_reduce(at::Tensor inout) override {
    if (inout.nbytes() > kOneRoundBytes) return all_reduce_in_two_rounds(std::move(inout));
    const auto parts = staging(inout.view(-1));
    return start(
        "all_reduce", kExchangeTag, [&](int) { return inout; },
        [&](int p) { return parts[static_cast<std::size_t>(p)]; }, [inout, parts] { sum_in_rank_order(inout, parts); });
  }

  WorkPtr broadcast(at::Tensor inout, int root) override {
    return translated(describe("broadcast"), [&] {
      Transfers works;
      if (rank() != root) works.push_back(receive_from(inout, root, kExchangeTag));
      for (int p = 0; rank() == root && p < size(); ++p)
        if (p != root) works.push_back(send_to(inout, p, kExchangeTag));
      return transfer("broadcast", std::move(works));
    });
  }

  WorkPtr send(at::Tensor in, int to, int tag) override {
    return translated(describe("send"), [&] { return transfer("send", {send_to(in, to, tag)}); });
  }
  WorkPtr receive(at::Tensor out, int from, int tag) override {
    return translated(describe("receive"), [&] { return transfer("receive", {receive_from(out, from, tag)}); });
  }

  void barrier() override {
    const at::Tensor sent = at::empty({1}, at::kByte), received = at::empty({size()}, at::kByte);
    start(
        "barrier", kExchangeTag, [&](int) { return sent; }, [&](int p) { return piece(received, p, size()); })
        ->wait();
  }

 private:
  std::string describe(const char* operation) const { return fmt::format("{} in group {}", operation, name_); }

  WorkPtr transfer(const char* operation, Transfers works, std::function<void()> finish = {}) {
    return std::make_unique<TransferWork>(describe(operation), waits_, timeout_, std::move(works), std::move(finish));
  }

  template <class Outgoing, class Incoming>
  WorkPtr start(const char* operation, int tag, Outgoing outgoing, Incoming incoming,
                std::function<void()> finish = {}) {
    return translated(describe(operation),
                      [&] { return transfer(operation, exchange(tag, outgoing, incoming), std::move(finish)); });
  }

  // Reduce-scatter, then all-gather. The worker does the second round, so that no rank has to wait for another's wait.
  WorkPtr all_reduce_in_two_rounds(at::Tensor inout) {
    const int n = size();
    const at::Tensor own = piece(inout, rank(), n);
    auto parts = std::make_shared<const std::vector<at::Tensor>>(staging(own));
    const auto pieces = [inout, n](int p) { return piece(inout, p, n); };
    return translated(describe("all_reduce"), [&] {
      Transfers scatter = exchange(kScatterTag, pieces, [&](int p) { return (*parts)[static_cast<std::size_t>(p)]; });
      auto job = worker_.post([this, own, parts, pieces, scatter = std::move(scatter)]() mutable {
        waits_->wait(scatter, timeout_);
        sum_in_rank_order(own, *parts);
        scatter.clear();
        parts.reset();  // the worker may drop the job after the wait
        Transfers gather = exchange(
            kGatherTag, [&](int) { return own; }, pieces);
        waits_->wait(gather, timeout_);
      });
      return WorkPtr(std::make_unique<JobWork>(describe("all_reduce"), std::move(job), parts));
    });
  }

  Transfer send_to(const at::Tensor& tensor, int to, int tag) {
    std::vector<at::Tensor> tensors{tensor};
    return group_->send(tensors, to, tag);
  }
  Transfer receive_from(const at::Tensor& tensor, int from, int tag) {
    std::vector<at::Tensor> tensors{tensor};
    return group_->recv(tensors, from, tag);
  }

  // To and from every other member, the next one first, so that not all begin with rank 0. Receives are posted first:
  // a transfer starts when both ends are.
  template <class Outgoing, class Incoming>
  Transfers exchange(int tag, Outgoing outgoing, Incoming incoming) {
    const std::lock_guard lock(post_mutex_);
    Transfers works;
    for (int step = 1; step < size(); ++step) {
      const int from = (rank() + size() - step) % size();
      works.push_back(receive_from(incoming(from), from, tag));
    }
    for (int step = 1; step < size(); ++step) {
      const int to = (rank() + step) % size();
      works.push_back(send_to(outgoing(to), to, tag));
    }
    return works;
  }

  // What each member contributes to a sum; this rank's own contribution needs no buffer.
  std::vector<at::Tensor> staging(const at::Tensor& own) const {
    const CountMemory count(Purpose::communication);
    const at::Tensor buffer = at::empty({size() - 1, own.numel()}, own.options());
    std::vector<at::Tensor> parts;
    for (int p = 0; p < size(); ++p) parts.push_back(p == rank() ? own : buffer.select(0, p - (p > rank())));
    return parts;
  }

  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  std::string name_;
  std::shared_ptr<TransferWaits> waits_;
  Milliseconds timeout_;
  std::mutex post_mutex_;  // c10d's groups are not for two threads
  SerialWorker worker_;    // last: its job uses all of the above
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

  // A worker may be waiting for transfers that never come.
  ~GlooWorld() override { waits_->give_up("this rank has left"); }

  void shutdown() override {
    if (!connected()) return;
    world().barrier();
    leave_store(*store_, rank(), size());
    drop_groups();
  }

  void give_up(const std::string& reason) { waits_->give_up(reason); }

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
      const int size = static_cast<int>(ranks.size());
      return std::make_unique<GlooComm>(c10::make_intrusive<c10d::ProcessGroupGloo>(prefixed, rank, size, options),
                                        name, waits_, timeout_);
    } catch (const std::exception& e) {
      throw Error(ExitCode::rank_failed, fmt::format("connecting group {}: {}", name, brief(e)));
    }
  }

  c10::intrusive_ptr<c10d::Store> store_;
  Milliseconds timeout_;
  std::shared_ptr<gloo::transport::Device> device_;
  std::shared_ptr<TransferWaits> waits_ = std::make_shared<TransferWaits>();
};

}  // namespace

std::unique_ptr<GroupedWorld> gloo_world(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
                                         const CommOptions& options) {
  return std::make_unique<GlooWorld>(std::move(store), rank, size, options);
}

void give_up_gloo_world(GroupedWorld& world, const std::string& reason) {
  dynamic_cast<GlooWorld&>(world).give_up(reason);
}

}  // namespace trellis
