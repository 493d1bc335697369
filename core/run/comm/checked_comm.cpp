#include "run/comm/checked_comm.h"

#include <fmt/ranges.h>

#include "trellis/plan/error.h"

namespace trellis {
namespace {

// Tags from here on are the transports' own.
constexpr int kTags = 1 << 30;

Bytes size_in_bytes(const at::Tensor& tensor) { return Bytes(static_cast<std::int64_t>(tensor.nbytes())); }

}  // namespace

std::string group_name(const std::vector<int>& ranks) { return fmt::format("{}", fmt::join(ranks, "-")); }

CheckedComm::CheckedComm(std::unique_ptr<Comm> transport, std::vector<int> ranks, const CommWorld& world)
    : transport_(std::move(transport)), ranks_(std::move(ranks)), world_(world) {}

void CheckedComm::require(bool condition, const char* operation, const std::string& what) const {
  if (!condition) fail(ExitCode::failure, "{} in group {}: {}", operation, group_name(ranks_), what);
}

void CheckedComm::require_tensor(const char* operation, const char* argument, const at::Tensor& tensor) const {
  require(tensor.defined(), operation, fmt::format("'{}' is not defined", argument));
  require(tensor.is_contiguous(), operation, fmt::format("'{}' is not contiguous", argument));
}

void CheckedComm::require_sizes(const char* operation, const at::Tensor& large, const at::Tensor& small,
                                std::int64_t times) const {
  require(large.scalar_type() == small.scalar_type(), operation, "input and output are of different types");
  require(large.numel() == small.numel() * times, operation,
          fmt::format("expected {} times {} elements, found {}", times, small.numel(), large.numel()));
}

void CheckedComm::require_peer(const char* operation, int peer, int tag) const {
  require(peer >= 0 && peer < size() && peer != rank(), operation,
          fmt::format("rank {} of the group cannot have {} as its peer", rank(), peer));
  require(tag >= 0 && tag < kTags, operation, fmt::format("tag {} is not in 0-{}", tag, kTags - 1));
}

void CheckedComm::note(MoveKind kind, Bytes received) const {
  if (auto* records = world_.records()) records->push_back({kind, ranks_, received});
}

WorkPtr CheckedComm::all_gather(at::Tensor out, at::Tensor in) {
  require_tensor("all_gather", "out", out);
  require_tensor("all_gather", "in", in);
  require_sizes("all_gather", out, in, size());
  note(MoveKind::all_gather, received_bytes(MoveKind::all_gather, size_in_bytes(out), size()));
  return transport_->all_gather(std::move(out), std::move(in));
}

WorkPtr CheckedComm::reduce_scatter(at::Tensor out, at::Tensor in) {
  require_tensor("reduce_scatter", "out", out);
  require_tensor("reduce_scatter", "in", in);
  require_sizes("reduce_scatter", in, out, size());
  note(MoveKind::reduce_scatter, received_bytes(MoveKind::reduce_scatter, size_in_bytes(in), size()));
  return transport_->reduce_scatter(std::move(out), std::move(in));
}

WorkPtr CheckedComm::all_reduce(at::Tensor inout) {
  require_tensor("all_reduce", "inout", inout);
  note(MoveKind::all_reduce, received_bytes(MoveKind::all_reduce, size_in_bytes(inout), size()));
  return transport_->all_reduce(std::move(inout));
}

WorkPtr CheckedComm::all_to_all(at::Tensor out, at::Tensor in) {
  require_tensor("all_to_all", "out", out);
  require_tensor("all_to_all", "in", in);
  require_sizes("all_to_all", out, in, 1);
  require(in.numel() % size() == 0, "all_to_all",
          fmt::format("{} elements do not make {} equal pieces", in.numel(), size()));
  note(MoveKind::all_to_all, received_bytes(MoveKind::all_to_all, size_in_bytes(in), size()));
  return transport_->all_to_all(std::move(out), std::move(in));
}

// Not a move of any program, so there is no kind to note it under.
WorkPtr CheckedComm::broadcast(at::Tensor inout, int root) {
  require_tensor("broadcast", "inout", inout);
  require(root >= 0 && root < size(), "broadcast", fmt::format("there is no rank {} to be the root", root));
  return transport_->broadcast(std::move(inout), root);
}

WorkPtr CheckedComm::send(at::Tensor in, int to, int tag) {
  require_tensor("send", "in", in);
  require_peer("send", to, tag);
  note(MoveKind::send_recv, Bytes(0));
  return transport_->send(std::move(in), to, tag);
}

WorkPtr CheckedComm::receive(at::Tensor out, int from, int tag) {
  require_tensor("receive", "out", out);
  require_peer("receive", from, tag);
  note(MoveKind::send_recv, size_in_bytes(out));
  return transport_->receive(std::move(out), from, tag);
}

}  // namespace trellis
