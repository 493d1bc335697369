// The matrix products of a step, and how long they take alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "run/kernels/matmul.h"
#include "trellis/plan/plan_file.h"

namespace trellis::bench {

// x [M, K], w [N, K], y [M, N], as in matmul.h.
struct Product {
  ProductKind kind = ProductKind::forward;
  std::int64_t m = 0, n = 0, k = 0;
  bool bias = false;
  auto operator<=>(const Product&) const = default;
  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
};
std::string to_string(const Product&);

// What one rank of a stage multiplies in a step, all micro-batches together, with how often. Products of linear ops and
// of the head; those inside attention are part of its kernel.
std::map<Product, int> products_of(const CompiledPlan&, int stage);

// Runs each product by itself on buffers of its own. Their caches are warm, so the sum is a lower bound of what the
// step spends in them.
class ProductTimer {
 public:
  explicit ProductTimer(std::map<Product, int> products);
  struct Time {
    Product product;
    int count = 0;
    double wall_ms = 0, cpu_ms = 0;  // of one, the median of `repeats`
  };
  std::vector<Time> measure(int repeats);

 private:
  struct Buffers {
    Product product;
    int count;
    at::Tensor x, w, y, bias;
  };
  void run(Buffers&);

  Products library_;
  std::vector<Buffers> buffers_;
};

}  // namespace trellis::bench
