// Runs the forward and backward lists of a stage for one micro-batch at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "run/executor/move_runner.h"
#include "run/executor/parameter_store.h"
#include "trellis/plan/plan_file.h"
#include "trellis/run/executor.h"

namespace trellis {

// Everything about an op that does not change from step to step.
struct PreparedOp {
  const LayerSpec* layer = nullptr;
  const Op* op = nullptr;
  const OpKernel* kernel = nullptr;
  OpSizes sizes;
  std::vector<std::int64_t> offset;
  std::map<AxisList, Comm*> inner;
  std::vector<ParameterPlace> parameters;
  bool makes_gradients_in_forward = false;
  bool random = false;
  std::string counted;   // of a term of the loss: the field whose entries it counts
};

// The slots of one micro-batch in flight.
struct MicroBatch {
  int index = 0;
  std::vector<at::Tensor> slots;
  std::map<SlotId, Flight> flights;
  double right = 0;   // in a pass without gradients, of the items that this rank reports: the share told right; NaN: unknown
};

// What a pass is part of.
struct PassContext {
  const DataSource* data = nullptr;
  std::int64_t step = 0;
  std::map<std::string, double> loss_scales;  // of the terms that this stage has, by the field that they count
  bool training = true;
  bool last = false;   // the last micro-batch of the step, in this pass
};

class StageRunner {
 public:
  StageRunner(const StageProgram&, const DeriveContext&, const KernelLibrary&, const OpLibrary&, CommWorld&, ParameterStore&,
              int line_rank, int base, std::uint64_t seed, at::TensorOptions device);

  MicroBatch open(int index) const;                       // empty slots
  void cut_fields(MicroBatch&, const PassContext&) const;
  void forward(MicroBatch& m, const PassContext& c) { run(stage_.forward, forward_moves_, m, c); }
  void backward(MicroBatch& m, const PassContext& c) { run(stage_.backward, backward_moves_, m, c); }
  // What its slots hold, in allocations: what shares memory counts once.
  Bytes bytes_of(const MicroBatch&) const;
  // This rank's part of the sum of all terms, which is not waited for; undefined where other ranks report them.
  at::Tensor loss(const MicroBatch&) const;
  std::set<std::string> counted_fields() const;   // what the terms of the loss on this stage are divided by
  void start_reduction(BucketId, const at::Tensor& open);
  void wait_reduction(BucketId);
  // Called after each instruction of a pass, on its thread; for the profile.
  void observe(std::function<void(const Instruction&)> observer) { observer_ = std::move(observer); }

 private:
  using Moves = std::map<std::size_t, PreparedMove>;      // by instruction of a list
  void run(const Instructions&, const Moves&, MicroBatch&, const PassContext&);
  void compute(const Instruction&, MicroBatch&, const PassContext&);
  void gather_start(const Instruction&, MicroBatch&);
  KernelContext context(const Instruction&, const PreparedOp&, const MicroBatch&, const PassContext&) const;
  at::Tensor parameter(const ParameterPlace&, const MicroBatch&) const;
  at::Tensor parameter_gradient(const ParameterPlace&, const MicroBatch&) const;
  bool first_write(const ParameterPlace&, bool overwrites, const at::Tensor& view) const;
  Moves prepare(const Instructions&, CommWorld&) const;
  void prepare_ops(const KernelLibrary&, const OpLibrary&, CommWorld&);

  struct Reduction {
    WorkPtr work;
    at::Tensor shard;   // destination of a reduce-scatter
  };

  const StageProgram& stage_;
  const DeriveContext& derive_;
  ParameterStore& store_;
  int rank_, base_;
  std::uint64_t seed_;
  at::TensorOptions device_;
  std::vector<std::vector<PreparedOp>> ops_;              // by layer of the stage, by op
  Moves forward_moves_, backward_moves_;
  std::map<BucketId, Reduction> reductions_;
  std::vector<SlotId> reported_;                          // terms of the loss that this rank reports
  std::function<void(const Instruction&)> observer_;
};

}  // namespace trellis
