#include "bench/products.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>

#include <algorithm>

#include "bench/stopwatch.h"

namespace trellis::bench {
namespace {

std::int64_t product_of(const OpSizes& sizes, const std::vector<DimId>& dims, const std::vector<DimId>& among,
                        bool inside) {
  std::int64_t result = 1;
  for (DimId d : dims)
    if ((std::ranges::count(among, d) > 0) == inside) result *= sizes.size[static_cast<std::size_t>(d)];
  return result;
}

class Census {
 public:
  Census(const CompiledPlan& plan, const StageProgram& stage) : plan_(plan), stage_(stage) {}

  std::map<Product, int> run() {
    for (const Instructions* list : {&stage_.forward, &stage_.backward})
      for (const Instruction& i : *list) visit(i);
    return std::move(found_);
  }

 private:
  void visit(const Instruction& i) {
    if (i.op < 0) return;
    const LayerSpec& spec = *stage_.specs[static_cast<std::size_t>(i.layer)];
    const Op& op = spec.ops[static_cast<std::size_t>(i.op)];
    if (op.parameters.empty()) return;
    const OpSizes sizes = op_sizes(spec, op, stage_.placements[static_cast<std::size_t>(i.layer)], plan_.context);
    const std::vector<DimId>& weight = spec.parameters[static_cast<std::size_t>(op.parameters[0])].dims;
    const std::vector<DimId>& in = op.input_dims[0];
    Product p{.m = product_of(sizes, in, weight, false),
              .n = product_of(sizes, weight, in, false),
              .k = product_of(sizes, in, weight, true)};
    if (op.kind == "linear") {
      p.bias = i.kind == InstructionKind::forward && i.fused >= 0;
      p.kind = i.kind == InstructionKind::forward          ? ProductKind::forward
               : i.kind == InstructionKind::input_gradient ? ProductKind::input_gradient
                                                           : ProductKind::weight_gradient;
      add(p);
    } else if (op.kind == "cross_entropy" && i.kind == InstructionKind::forward) {
      const std::int64_t tokens = p.m, chunk = op.integer("chunk", tokens);
      for (std::int64_t begin = 0; begin < tokens; begin += chunk) {
        p.m = std::min(chunk, tokens - begin);
        for (ProductKind kind : {ProductKind::forward, ProductKind::input_gradient, ProductKind::weight_gradient})
          p.kind = kind, add(p);
      }
    }
  }
  void add(const Product& p) { found_[p] += plan_.plan.micro_batches; }

  const CompiledPlan& plan_;
  const StageProgram& stage_;
  std::map<Product, int> found_;
};

const char* name_of(ProductKind kind) {
  switch (kind) {
    case ProductKind::forward:
      return "forward";
    case ProductKind::input_gradient:
      return "input_gradient";
    case ProductKind::weight_gradient:
      return "weight_gradient";
  }
  return "";
}

}  // namespace

std::string to_string(const Product& p) {
  return fmt::format("{} {} {} {}{}", name_of(p.kind), p.m, p.n, p.k, p.bias ? " bias" : "");
}

std::map<Product, int> products_of(const CompiledPlan& plan, int stage) {
  return Census(plan, *plan.stages.at(static_cast<std::size_t>(stage))).run();
}

ProductTimer::ProductTimer(std::map<Product, int> products) {
  const at::TensorOptions f32(at::kFloat);
  for (const auto& [p, count] : products)
    buffers_.push_back({p, count, at::randn({p.m, p.k}, f32), at::randn({p.n, p.k}, f32), at::randn({p.m, p.n}, f32),
                        p.bias ? at::randn({p.n}, f32) : at::Tensor()});
}

void ProductTimer::run(Buffers& b) {
  switch (b.product.kind) {
    case ProductKind::forward:
      library_.forward(b.x, b.w, b.bias, b.y);
      break;
    case ProductKind::input_gradient:
      library_.input_gradient(b.y, b.w, b.x);
      break;
    case ProductKind::weight_gradient:
      library_.weight_gradient(b.w, b.y, b.x);
      break;
  }
}

std::vector<ProductTimer::Time> ProductTimer::measure(int repeats) {
  const at::NoGradGuard no_grad;
  std::vector<Time> times;
  for (Buffers& b : buffers_) {
    run(b);
    std::vector<double> wall, cpu;
    for (int r = 0; r < repeats; ++r) {
      const Stopwatch watch;
      run(b);
      wall.push_back(watch.wall_ms()), cpu.push_back(watch.cpu_ms());
    }
    times.push_back({b.product, b.count, median(wall), median(cpu)});
  }
  return times;
}

}  // namespace trellis::bench
