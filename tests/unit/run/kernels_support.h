// One op as a layer of its own, run through its kernel and compared with autograd of a plain formula.
#pragma once

#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "run/kernels/support.h"
#include "trellis/plan/builder.h"
#include "trellis/run/kernel.h"

namespace trellis::test {

using Tensors = std::vector<at::Tensor>;
using Formula = std::function<at::Tensor(const Tensors& inputs, const Tensors& parameters)>;

inline at::Tensor random(at::IntArrayRef shape, std::uint64_t seed = 7) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn(shape, generator, at::TensorOptions().dtype(at::kDouble));
}

inline at::Tensor integers(std::vector<std::int64_t> values, at::IntArrayRef shape) {
  return at::tensor(values, at::kLong).view(shape);
}

// The last op of a layer, with its context: everything local is the whole, until a test says otherwise.
struct OneOp {
  OneOp(LayerSpec spec, std::int64_t batch, Dtype dtype, std::size_t op = 0) : layer(std::move(spec)) {
    for (const Dim& d : layer.dims) sizes.size.push_back(d.size ? d.size : batch);
    sizes.axes.resize(layer.dims.size());
    sizes.degree.assign(layer.dims.size(), 1);
    sizes.layer = c.layer = &layer;
    sizes.op = c.op = &layer.ops.at(op);
    sizes.dtype = c.dtype = dtype;
    c.sizes = &sizes;
    c.offset.assign(layer.dims.size(), 0);
    c.samples = at::arange(batch, at::kLong);
    c.seed = 11, c.step = 3, c.layer_index = 2, c.op_index = op;
  }
  OneOp(const OneOp&) = delete;

  DimId dim(std::string_view name) const { return static_cast<DimId>(&layer.dim(name) - layer.dims.data()); }
  void cut(std::string_view name, std::int64_t begin, std::int64_t size) {
    sizes.size[static_cast<std::size_t>(dim(name))] = size;
    c.offset[static_cast<std::size_t>(dim(name))] = begin;
  }
  at::Tensor cast(const at::Tensor& t) const { return t.scalar_type() == at::kLong ? t : t.to(scalar_type(c.dtype)); }
  void give(const Tensors& inputs, const Tensors& parameters = {}) {
    c.inputs.clear(), c.parameters.clear(), c.parameter_gradients.clear();
    for (const auto& t : inputs) c.inputs.push_back(cast(t));
    for (const auto& t : parameters) {
      c.parameters.push_back(cast(t));
      c.parameter_gradients.push_back(at::ones(t.sizes(), at::TensorOptions().dtype(stats_type(c))));
    }
  }
  const OpKernel& kernel() const { return library().find(c.op->kind); }
  at::Tensor forward() {
    kernel().forward(c);
    return c.output;
  }
  void backward(const at::Tensor& dy) {
    c.output_gradient = cast(dy);
    c.input_gradients.assign(c.inputs.size(), at::Tensor());
    kernel().backward(c);
  }
  static KernelLibrary& library() {
    static KernelLibrary kernels;
    return kernels;
  }

  LayerSpec layer;
  OpSizes sizes;
  KernelContext c;
};

// The largest difference, as a fraction of the largest expected value.
inline double difference(const at::Tensor& found, const at::Tensor& expected) {
  REQUIRE(found.sizes() == expected.sizes());
  if (found.numel() == 0) return 0;
  const double top = expected.abs().max().item<double>();
  const double error = (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  return error / (top > 0 ? top : 1);
}

inline double tolerance(Dtype dtype) { return dtype == Dtype::f64 ? 1e-12 : dtype == Dtype::f32 ? 5e-6 : 3e-2; }

// Forward and all gradients, in each dtype. Parameter gradients start at one: kernels add to them.
inline void check_against_autograd(const LayerSpec& layer, std::int64_t batch, const Tensors& inputs,
                                   const Tensors& parameters, const Formula& formula,
                                   std::vector<Dtype> dtypes = {Dtype::f64, Dtype::f32, Dtype::bf16}) {
  Tensors x, p;
  for (const auto& t : inputs) x.push_back(t.scalar_type() == at::kLong ? t : t.clone().requires_grad_());
  for (const auto& t : parameters) p.push_back(t.clone().requires_grad_());
  const at::Tensor y = formula(x, p);
  const at::Tensor dy = random(y.sizes(), 99);
  y.backward(dy);
  for (const Dtype dtype : dtypes) {
    CAPTURE(name_of(dtype));
    OneOp one(layer, batch, dtype);
    one.give(inputs, parameters);
    CHECK(difference(one.forward(), y.detach()) < tolerance(dtype));
    CHECK(one.c.output.is_contiguous());
    one.backward(dy);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x[i].requires_grad()) continue;
      CAPTURE(i);
      CHECK(one.c.input_gradients[i].is_contiguous());
      CHECK(difference(one.c.input_gradients[i], x[i].grad()) < tolerance(dtype));
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
      CAPTURE(i);
      CHECK(difference(one.c.parameter_gradients[i] - 1, p[i].grad()) < 2 * tolerance(dtype));
    }
  }
}

inline std::vector<Dim> block_dims() {
  return {{"batch", std::string(kBatch), 0},    {"seq", std::string(kSequence), 24},
          {"hidden", std::string(kHidden), 40}, {"ffn", std::string(kFfn), 56},
          {"kv_heads", std::string(kHeads), 2}, {"queries_per_kv", std::string(kOther), 3},
          {"head_dim", std::string(kOther), 8}, {"vocab", std::string(kVocab), 30}};
}

}  // namespace trellis::test
