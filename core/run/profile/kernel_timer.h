// Times one kernel as an executor would call it, on random tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "trellis/plan/cost.h"
#include "trellis/run/kernel.h"

namespace trellis::profile {

// The tensors and sizes of one call; several of them stand for a step, in which nothing finds its data in the cache.
class KernelCall {
 public:
  KernelCall(const Measurement&, const KernelLibrary&, const at::TensorOptions& device);
  void run();           // allocates its outputs, as in a run
  Bytes bytes() const;  // that it reads or writes

 private:
  at::Tensor value_of(std::size_t input) const;
  std::int64_t local_rows() const;  // of the first parameter; 0: there is none
  at::Tensor parameter_of(ParameterId, bool gradient) const;
  KernelContext context() const;

  const Measurement& measurement_;
  const LayerSpec& spec_;
  const Op& op_;
  const OpKernel& kernel_;
  at::TensorOptions device_;
  OpSizes sizes_;
  std::vector<at::Tensor> in_;  // as the instruction's
  KernelContext context_;       // with everything that does not change from call to call
  KernelContext last_;          // holds the outputs until the next call, as slots do
};

// Seconds of one call. `crowded`: more ranks than cores, where single calls are long or short by chance and only their
// mean says something; else the median.
double time_kernel(const Measurement&, const KernelLibrary&, const at::TensorOptions& device, bool crowded);

}  // namespace trellis::profile
