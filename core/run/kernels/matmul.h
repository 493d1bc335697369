// The three products of a linear op, and which library computes each.
//
// LibTorch brings two matrix libraries, and neither is best everywhere: its default for float goes to MKL, which is
// slow on AMD processors; oneDNN's products have no form that accumulates. What is faster is measured once for each
// kind, shape and type, at first use, and kept: later calls of one run compute the same way. Ranks that must agree bit
// for bit exchange their choices beforehand (lines(), preset()).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis {

enum class ProductKind { forward, input_gradient, weight_gradient };
enum class ProductChoice {
  aten,            // LibTorch's default: MKL for f32 and f64, oneDNN for bf16 where the processor supports it
  onednn,          // oneDNN by name
  mkl_accumulate,  // weight gradient of bf16: MKL adds into the fp32 gradient
};

// Thread-safe. Matrices are 2-D and contiguous; x [M, K], w [N, K], y [M, N].
class TRELLIS_API Products {
 public:
  // x w^T (+ bias [N], unless undefined), into `out` or, where that is undefined, a new tensor. Returns the result.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::Tensor out);
  // dy w, likewise.
  at::Tensor input_gradient(const at::Tensor& dy, const at::Tensor& w, at::Tensor out);
  // dw += dy^T x, or dw = dy^T x where nothing was added yet; dw is f32 for f32 and bf16, f64 for f64.
  void weight_gradient(const at::Tensor& dw, const at::Tensor& dy, const at::Tensor& x, bool fresh = false);

  // Whether f32 products into a given buffer, weight gradients above all, are LibTorch's default ones, which need no
  // temporary. One answer for all shapes, measured once: so the memory of a step is known before it.
  bool in_place();

  // Choices as text, "weight_gradient f32 1024 256 1024 onednn" (kind, type, M, K, N, choice), sorted.
  std::vector<std::string> lines() const;
  void preset(const std::vector<std::string>& lines);  // Error on a line of another form

 private:
  using Key = std::array<std::int64_t, 5>;  // kind, scalar type, M, K, N

  template <class Run>
  ProductChoice choose(const Key&, const std::vector<ProductChoice>& candidates, Run&& run);

  mutable std::mutex mutex_;
  std::map<Key, ProductChoice> choices_;
};

// GFLOP/s of a 512-cubed product in f32 on the threads in use: a machine's fitness in one number.
TRELLIS_API double product_gflops();

}  // namespace trellis
