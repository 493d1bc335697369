// What running an op must do: the twin of an OpContract. Kernels are stateless and thread-safe; one instance serves all.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/op.h"
#include "trellis/run/comm.h"

namespace trellis {

// One call of a kernel. Tensors are local, in the compute dtype unless said otherwise, contiguous, shaped by the dims
// of the index expression.
struct TRELLIS_API KernelContext {
  const LayerSpec* layer = nullptr;
  const Op* op = nullptr;
  const OpSizes* sizes = nullptr;
  Dtype dtype = Dtype::f32;
  bool recomputed = false;
  bool training = true;                         // false: no dropout; gradients are not asked for

  std::vector<at::Tensor> inputs;               // undefined where backward said that it does not need one
  at::Tensor output;                            // forward: to be set (or written, if `output` is already defined)
  std::vector<at::Tensor> extras;               // forward: to be set; backward: to be read
  std::vector<at::Tensor> parameters;           // local, [dims of the parameter]
  std::vector<at::Tensor> parameter_gradients;  // to be added to; gradient dtype (fp32, fp64), views of a flat buffer
  std::vector<bool> fresh;                      // by parameter: nothing was added yet, overwrite (see overwrites_gradients)
  at::Tensor output_gradient;                   // backward
  std::vector<at::Tensor> input_gradients;      // backward: to be set, undefined where `wants` is false
  std::vector<bool> wants;                      // which input gradients are asked for
  at::Tensor fused_bias;                        // forward of a product: added to the output, broadcast over leading dims

  // Coordinates of this rank's piece, for randomness keyed by them.
  std::vector<std::int64_t> offset;             // global start by DimId
  at::Tensor samples;                           // int64 [local batch]: index of each sample in the run
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t layer_index = 0;                // in the model
  std::uint64_t op_index = 0;                   // in the layer

  double loss_scale = 1;                        // 1 / counting items of the step, for losses
  std::optional<std::int64_t> right;            // set by a loss that knows: items that count, with no label likelier than theirs
  std::map<AxisList, Comm*> inner;              // communicators for the op's inner moves, by axes

  std::int64_t size(DimId d) const { return sizes->size[static_cast<std::size_t>(d)]; }
};

class TRELLIS_API OpKernel {
 public:
  virtual ~OpKernel();
  virtual void forward(KernelContext&) const = 0;
  virtual void input_gradient(KernelContext&) const;
  virtual void weight_gradient(KernelContext&) const;
  virtual void backward(KernelContext&) const;   // default: input_gradient, then weight_gradient
  // True: parameter gradients that are `fresh` are written, not added to; else they are zeroed before.
  virtual bool overwrites_gradients() const;
};

class Products;   // run/kernels/matmul.h: which library computes each matrix product
class Optimizer;  // run/optimizer/optimizer.h: what an update does with flat shards

class TRELLIS_API KernelLibrary {
 public:
  KernelLibrary();                                   // the core's own kernels, for the CPU
  explicit KernelLibrary(std::string_view device);   // for "cpu" or "cuda"; Error (unsupported) where there is no GPU
  void add(std::string kind, std::shared_ptr<const OpKernel>);      // Error where there is one
  void replace(std::string kind, std::shared_ptr<const OpKernel>);  // instead of the one there may be
  void replace_optimizer(std::shared_ptr<const Optimizer>);
  const OpKernel& find(std::string_view kind) const;
  Products& products() const { return *products_; }
  const Optimizer& optimizer() const { return *optimizer_; }

 private:
  std::shared_ptr<Products> products_;
  std::shared_ptr<const Optimizer> optimizer_;
  std::map<std::string, std::shared_ptr<const OpKernel>, std::less<>> kernels_;
};

// Philox4x32-10 keyed by coordinates (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3):
// four 32-bit words for (key, counter).
struct Philox {
  std::uint64_t key;
  struct Words { std::uint32_t w[4]; };
  TRELLIS_API Words operator()(std::uint64_t high, std::uint64_t low) const;
};
// Mixes coordinates into one key (SplitMix64 finalizer).
TRELLIS_API std::uint64_t mix(std::initializer_list<std::uint64_t> words);

}  // namespace trellis
