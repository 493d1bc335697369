// The outermost Comm of every group: checks arguments once for all transports, and notes what is executed.
#pragma once

#include "trellis/run/comm.h"

namespace trellis {

// "0-1-2-3": how a group is named in errors and in stores.
std::string group_name(const std::vector<int>& ranks);

class CheckedComm final : public Comm {
 public:
  // `ranks` are global, in communicator order; records go where `world` sends them. `world` outlives this object.
  CheckedComm(std::unique_ptr<Comm> transport, std::vector<int> ranks, const CommWorld& world);

  int rank() const override { return transport_->rank(); }
  int size() const override { return transport_->size(); }
  WorkPtr all_gather(at::Tensor out, at::Tensor in) override;
  WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) override;
  WorkPtr all_reduce(at::Tensor inout) override;
  WorkPtr all_to_all(at::Tensor out, at::Tensor in) override;
  WorkPtr broadcast(at::Tensor inout, int root) override;
  WorkPtr send(at::Tensor in, int to, int tag) override;
  WorkPtr receive(at::Tensor out, int from, int tag) override;
  void barrier() override { transport_->barrier(); }

 private:
  void require(bool condition, const char* operation, const std::string& what) const;
  void require_tensor(const char* operation, const char* argument, const at::Tensor&) const;
  void require_sizes(const char* operation, const at::Tensor& large, const at::Tensor& small, std::int64_t times) const;
  void require_peer(const char* operation, int peer, int tag) const;
  void note(MoveKind kind, Bytes received) const;

  std::unique_ptr<Comm> transport_;
  std::vector<int> ranks_;
  const CommWorld& world_;
};

}  // namespace trellis
