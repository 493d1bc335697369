// The four lives of a stage's parameters, in flat buffers by bucket (DESIGN rule 4).
//
//   storage    compute dtype; a shard under ZeRO-3
//   gradient   fp32 (fp64 in f64 runs); a shard under ZeRO-2 and 3
//   optimizer  two moments, and the fp32 master under bf16; a shard from ZeRO-1 on; owners only
// The compute copy is the storage itself, or a program slot that a gather fills.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "run/executor/move_runner.h"
#include "trellis/plan/program.h"
#include "trellis/run/executor.h"

namespace trellis {

struct BucketState {
  const Bucket* bucket = nullptr;
  Comm* comm = nullptr;             // over the reduction axes; none where nothing is reduced
  int shard_index = 0;
  at::Tensor storage, gradient, first_moment, second_moment, master;
  std::vector<at::Tensor> parameters, gradients;   // views by position, where the buffers are whole
  std::vector<bool> written;        // by position: its gradient has been written in this step
  bool shard_written = false;       // likewise, of a split gradient
  at::Tensor kept_gradient;         // of the last step before clipping, for tests

  // What one rank owns of a buffer that is split `if`.
  at::Tensor shard_of(const at::Tensor& whole) const;
};

class ParameterStore {
 public:
  // Starts from `weights`, or from initial weights by the seed where there are none, as for a new head.
  ParameterStore(const StageProgram&, int line_rank, int base, Dtype, const at::TensorOptions& device, CommWorld&,
                 std::uint64_t seed, const WeightReader* weights = nullptr);

  BucketState& operator[](BucketId b) { return buckets_[static_cast<std::size_t>(b)]; }
  const BucketState& operator[](BucketId b) const { return buckets_[static_cast<std::size_t>(b)]; }
  std::size_t size() const { return buckets_.size(); }
  // From here on nothing has been added to any gradient: the first addition overwrites.
  void begin_step();
  // Views of one parameter in a whole flat buffer of its bucket.
  static at::Tensor view(const Bucket&, int position, const at::Tensor& flat);
  Dtype dtype() const { return dtype_; }

 private:
  void initialize(const StageProgram&, BucketState&, int line_rank, std::uint64_t seed);
  void read(const StageProgram&, BucketState&, int line_rank, const WeightReader&, std::uint64_t seed);
  Dtype dtype_;
  std::vector<BucketState> buckets_;
};

}  // namespace trellis
