// Communication among the ranks of one group. Only SUM crosses this interface; scale before or after.
//
// One Comm is used by one thread of one rank; every member calls the same operations in the same order. Tensors are
// contiguous. Operations start at once and are finished by Work::wait(); buffers stay untouched until then.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/layout.h"

namespace trellis {

class TRELLIS_API Work {
 public:
  virtual ~Work();
  virtual void wait() = 0;  // CPU: blocks; CUDA: the current stream waits. Throws Error (rank_failed) on a lost peer or timeout.
};
using WorkPtr = std::unique_ptr<Work>;

class TRELLIS_API Comm {
 public:
  virtual ~Comm();
  virtual int rank() const = 0;   // within the group
  virtual int size() const = 0;
  virtual WorkPtr all_gather(at::Tensor out, at::Tensor in) = 0;       // out: size x in, in rank order, flat
  virtual WorkPtr reduce_scatter(at::Tensor out, at::Tensor in) = 0;   // in: size x out; summed in rank order
  virtual WorkPtr all_reduce(at::Tensor inout) = 0;
  virtual WorkPtr all_to_all(at::Tensor out, at::Tensor in) = 0;       // equal pieces
  virtual WorkPtr broadcast(at::Tensor inout, int root) = 0;
  virtual WorkPtr send(at::Tensor in, int to, int tag) = 0;
  virtual WorkPtr receive(at::Tensor out, int from, int tag) = 0;
  virtual void barrier() = 0;
};

// What was executed, for the conservation check: kind, group (global ranks) and the bytes that this rank received.
struct CommRecord {
  MoveKind kind;
  std::vector<int> group;
  Bytes bytes;
  auto operator<=>(const CommRecord&) const = default;
};

// Makes and caches the groups of one rank. Groups are created once, in one global order, by their rank list.
class TRELLIS_API CommWorld {
 public:
  virtual ~CommWorld();
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Collective over all ranks: every rank passes the same sorted list of groups (duplicates ignored, groups of one
  // rank need no communicator). Afterwards group() finds those that this rank is a member of.
  virtual void create_groups(const std::vector<std::vector<int>>& groups) = 0;
  virtual Comm& group(const std::vector<int>& ranks) = 0;
  Comm& world();                                                       // all ranks
  virtual void shutdown() = 0;                                         // barrier, then releases communicators

  // While recording, every operation of every group is noted.
  void record(std::vector<CommRecord>* into) { records_ = into; }
  std::vector<CommRecord>* records() const { return records_; }

 private:
  std::vector<CommRecord>* records_ = nullptr;
};

enum class Transport { gloo, nccl };
struct CommOptions {
  Transport transport = Transport::gloo;
  int timeout_seconds = 600;
  std::string interface = "lo";     // Gloo's network interface; empty: chosen by host name
};

// Ranks as processes. Reads RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (torchrun's names); a local launch uses
// TRELLIS_STORE=path of a file store instead, so that nothing listens beyond loopback.
TRELLIS_API std::unique_ptr<CommWorld> connect_from_environment(const CommOptions&);
TRELLIS_API std::unique_ptr<CommWorld> connect_file_store(const std::string& path, int rank, int size, const CommOptions&);

// Ranks as threads of this process: runs body(world) on `size` threads over Gloo and a shared HashStore, or over plain
// memory (`in_memory`: barriers and copies, a fast test double). Rethrows the first error after all threads ended.
TRELLIS_API void run_threads(int size, bool in_memory, const std::function<void(CommWorld&)>& body);
// A single rank without any communicator.
TRELLIS_API std::unique_ptr<CommWorld> single_rank();

}  // namespace trellis
