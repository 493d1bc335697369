#include "cuda/nccl_world.h"

#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstdlib>

#include "run/comm/checked_comm.h"
#include "run/comm/grouped_world.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using Group = c10::intrusive_ptr<c10d::ProcessGroupNCCL>;

template <class Function>
auto translated(const std::string& what, Function function) {
  try {
    return function();
  } catch (const std::exception& e) {
    throw Error(ExitCode::rank_failed, fmt::format("{}: {}", what, brief(e)));
  }
}

class NcclWork final : public Work {
 public:
  NcclWork(std::string what, c10::intrusive_ptr<c10d::Work> work) : what_(std::move(what)), work_(std::move(work)) {}
  void wait() override {
    translated(what_, [&] { work_->wait(); });
  }

 private:
  std::string what_;
  c10::intrusive_ptr<c10d::Work> work_;  // keeps the tensors alive
};

// A group and, for transfers, one more for each direction: NCCL runs the operations of a communicator in order, so two
// ranks that both send before they receive would wait for each other for ever.
struct Groups {
  Group collectives, upward, downward;
};

class NcclComm final : public Comm {
 public:
  NcclComm(Groups groups, std::string name) : groups_(std::move(groups)), name_(std::move(name)) {}

  int rank() const override { return groups_.collectives->getRank(); }
  int size() const override { return groups_.collectives->getSize(); }

  WorkPtr all_gather(at::Tensor out, at::Tensor in) override {
    return start("all_gather", [&] { return groups_.collectives->_allgather_base(out, in); });
  }
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override {
    return start("reduce_scatter", [&] { return groups_.collectives->_reduce_scatter_base(out, in); });
  }
  WorkPtr all_reduce(at::Tensor inout) override {
    std::vector<at::Tensor> tensors{inout};
    return start("all_reduce", [&] { return groups_.collectives->allreduce(tensors); });
  }
  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override {
    at::Tensor flat_out = out.view(-1), flat_in = in.view(-1);
    std::vector<std::int64_t> equal;
    return start("all_to_all", [&] { return groups_.collectives->alltoall_base(flat_out, flat_in, equal, equal); });
  }
  WorkPtr broadcast(at::Tensor inout, int root) override {
    std::vector<at::Tensor> tensors{inout};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    return start("broadcast", [&] { return groups_.collectives->broadcast(tensors, options); });
  }
  // Tags are not carried: transfers between two ranks match in order, as those of one schedule do.
  WorkPtr send(at::Tensor in, int to, int tag) override {
    std::vector<at::Tensor> tensors{in};
    auto& group = direction(rank(), to);
    return start("send", [&] { return transfer(group, [&] { group.send(tensors, to, tag); }); });
  }
  WorkPtr receive(at::Tensor out, int from, int tag) override {
    std::vector<at::Tensor> tensors{out};
    auto& group = direction(from, rank());
    return start("receive", [&] { return transfer(group, [&] { group.recv(tensors, from, tag); }); });
  }
  void barrier() override {
    const at::Tensor token = at::zeros({1}, at::TensorOptions(at::kCUDA));
    all_reduce(token)->wait();
    c10::cuda::getCurrentCUDAStream().synchronize();
  }

  void shutdown() {
    for (const Group& group : {groups_.collectives, groups_.upward, groups_.downward}) group->shutdown();
  }

 private:
  template <class Start>
  WorkPtr start(const char* operation, Start run) {
    std::string what = fmt::format("{} in group {}", operation, name_);
    auto work = translated(what, run);
    return std::make_unique<NcclWork>(std::move(what), std::move(work));
  }
  // Alone in a batch: what is not in one, c10d warns of, and makes a communicator more for.
  template <class Start>
  static c10::intrusive_ptr<c10d::Work> transfer(c10d::ProcessGroupNCCL& group, Start run) {
    group.startCoalescing();
    run();
    return group.endCoalescing();
  }
  c10d::ProcessGroupNCCL& direction(int from, int to) { return from < to ? *groups_.upward : *groups_.downward; }

  Groups groups_;
  std::string name_;
};

class NcclWorld final : public GroupedWorld {
 public:
  NcclWorld(StorePtr store, int rank, int size, const CommOptions& options)
      : GroupedWorld(rank, size),
        store_(std::move(store)),
        timeout_(std::chrono::seconds(options.timeout_seconds)),
        device_(c10::DeviceType::CUDA, c10::cuda::current_device()) {
    create_world_group();
  }

  void shutdown() override {
    if (!connected()) return;
    world().barrier();
    for (NcclComm* comm : comms_) comm->shutdown();
    comms_.clear();
    leave_store(*store_, rank(), size());
    drop_groups();
  }

 private:
  std::unique_ptr<Comm> make_group(const std::vector<int>& ranks, int rank) override {
    const std::string name = group_name(ranks);
    return translated("connecting group " + name, [&] {
      Groups groups{make(name, "n:", ranks, rank), make(name, "up:", ranks, rank), make(name, "down:", ranks, rank)};
      // Now, in the one global order; otherwise at the first operation, in an order that two groups may not agree on.
      groups.collectives->eagerConnectSingleDevice(device_);
      auto comm = std::make_unique<NcclComm>(std::move(groups), name);
      comms_.push_back(comm.get());
      return comm;
    });
  }

  Group make(const std::string& name, const std::string& prefix, const std::vector<int>& ranks, int rank) {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = timeout_;
    options->group_name = prefix + name;
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(c10::make_intrusive<c10d::PrefixStore>(prefix + name, store_),
                                                       rank, static_cast<int>(ranks.size()), options);
  }

  StorePtr store_;
  std::chrono::milliseconds timeout_;
  at::Device device_;
  std::vector<NcclComm*> comms_;  // owned by the base class
};

}  // namespace

std::unique_ptr<CommWorld> connect_nccl(StorePtr store, int rank, int size, const CommOptions& options) {
  // A local launch listens on the loopback interface only.
  if (std::getenv("TRELLIS_STORE")) setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  return std::make_unique<NcclWorld>(std::move(store), rank, size, options);
}

}  // namespace trellis
