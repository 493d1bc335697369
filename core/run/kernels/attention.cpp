#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "plan/model/ops/contracts.h"

#include "run/kernels/attention_blocked.h"
#include "run/kernels/distance.h"
#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"

namespace trellis {
namespace {

// A validation pass drops nothing.
double dropout_of(const KernelContext& c) { return c.training ? c.op->real("dropout") : 0; }

AttentionShape shape_of(const KernelContext& c, const at::Tensor& q, const at::Tensor& k) {
  return {q.size(0), q.size(1), k.size(1), q.size(2), q.size(3), q.size(4), c.op->integer("causal") != 0,
          dropout_of(c), real_keys(c, k.size(1)), attention_scale(c, q.size(4)), c.op->integer("window")};
}

// The bias of each head laid out by distance, from its table [buckets g r], and its gradient back into the table.
class Distances {
 public:
  Distances(const KernelContext& c, const AttentionShape& shape)
      : shape_(shape), length_(shape.s + shape.t - 1), buckets_(distance_buckets(c, shape.s, shape.t)) {}

  at::Tensor lay_out(const at::Tensor& table, at::ScalarType type) const {
    const std::int64_t heads = shape_.g * shape_.r;
    const at::Tensor source = table.scalar_type() == type ? table : table.to(type), result = at::empty({heads, length_}, type);
    type == at::kDouble ? expand(data<double>(source), mutable_data<double>(result))
                        : expand(data<float>(source), mutable_data<float>(result));
    return result;
  }
  // Samples are added up in their order.
  void add_gradient(const at::Tensor& by_distance, const at::Tensor& table) const {
    by_distance.scalar_type() == at::kDouble ? gather(data<double>(by_distance), mutable_data<double>(table))
                                             : gather(data<float>(by_distance), mutable_data<float>(table));
  }

 private:
  template <class T>
  void expand(const T* table, T* out) const {
    const std::int64_t heads = shape_.g * shape_.r;
    for (std::int64_t head = 0; head < heads; ++head)
      for (const std::int64_t bucket : buckets_) *out++ = table[bucket * heads + head];
  }
  template <class T>
  void gather(const T* by_distance, T* table) const {
    const std::int64_t heads = shape_.g * shape_.r;
    for (std::int64_t b = 0; b < shape_.b; ++b)
      for (std::int64_t head = 0; head < heads; ++head)
        for (const std::int64_t bucket : buckets_) table[bucket * heads + head] += *by_distance++;
  }

  const AttentionShape& shape_;
  std::int64_t length_;
  std::vector<std::int64_t> buckets_;  // by distance
};

AttentionRandom random_of(const KernelContext& c, const AttentionShape& shape) {
  if (shape.dropout <= 0) return {};
  const auto& dims = c.op->input_dims[0];
  const auto g = static_cast<std::size_t>(dims[2]), r = static_cast<std::size_t>(dims[3]);
  const auto start = [&](std::size_t d) { return d < c.offset.size() ? c.offset[d] : 0; };
  const std::int64_t queries = std::max(shape.r, c.layer->dims[r].size),
                     groups = std::max(shape.g, c.layer->dims[g].size);
  const auto t = static_cast<std::size_t>(c.op->input_dims[1][1]);
  const std::int64_t keys = c.layer->dims[t].size > 0 ? c.layer->dims[t].size : shape.t;
  return {random_key(c), data<std::int64_t>(c.samples), start(g), start(r), queries, groups * queries, keys};
}

// b s (g r) d as LibTorch's kernels want it: b (g r) s d, a view.
at::Tensor heads_first(const at::Tensor& t) {
  return t.dim() == 5 ? t.flatten(2, 3).transpose(1, 2) : t.transpose(1, 2);
}

// q: b s g r d; k, v: b t g d -> b s g r d. extras: lse [b g r s], the logarithm of each softmax's denominator.
//
// A fourth input is a mask of keys, a parameter a bias by distance.
// f32 and f64 take blocks of queries on BLAS (attention_blocked.h). bf16 takes LibTorch's flash kernel, which has
// matrix instructions for it; but with dropout, a mask, a bias or a window, which that kernel lacks, and in backward of short sequences, where it
// is slow, bf16 is computed in f32. Backward in ms on one core of a Xeon with AMX, flash and f32 (b s heads, causal):
//   8 128 4: 9.1 2.3    4 256 8: 12.7 11.1; with a fourth of the key heads 12.4 7.0
// The contract's scratch (plan/model/ops/attention.cpp) has the same rule.
struct Attention final : OpKernel {
  static bool flash(const KernelContext& c, const AttentionShape& shape, bool backward) {
    return c.dtype == Dtype::bf16 && ops::fused_attention(*c.layer, *c.op, shape.t, backward);
  }
  static AttentionBias bias_of(const KernelContext& c) {
    if (c.inputs.size() < 4) return {};
    return {.mask = data<std::int64_t>(input(c, 3))};
  }
  static at::Tensor computed(const at::Tensor& t) { return t.scalar_type() == at::kBFloat16 ? t.to(at::kFloat) : t; }

  void forward(KernelContext& c) const override {
    const at::Tensor &q = input(c, 0), &k = input(c, 1), &v = input(c, 2);
    const AttentionShape shape = shape_of(c, q, k);
    c.extras.resize(1);
    at::Tensor& lse = prepare(c.extras[0], {shape.b, shape.g, shape.r, shape.s}, stats_type(c));
    prepare(c.output, q.sizes(), q.scalar_type());
    if (flash(c, shape, false)) {
      const auto [y, stats] = at::_scaled_dot_product_flash_attention_for_cpu(heads_first(q), heads_first(k),
                                                                              heads_first(v), 0, shape.causal);
      c.output.copy_(y.transpose(1, 2).reshape(c.output.sizes()));
      lse.copy_(stats.reshape(lse.sizes()));
      return;
    }
    const at::Tensor cq = computed(q), ck = computed(k), cv = computed(v);
    at::Tensor slot = cq.is_same(q) ? c.output : at::Tensor();
    const at::Tensor& y = prepare(slot, q.sizes(), cq.scalar_type());
    AttentionBias bias = bias_of(c);
    at::Tensor distances;
    if (!c.parameters.empty()) distances = Distances(c, shape).lay_out(c.parameters[0], cq.scalar_type());
    bias.by_distance = pointer(distances);
    attention_forward({real_of(cq), shape, random_of(c, shape), bias, cq.const_data_ptr(), ck.const_data_ptr(),
                       cv.const_data_ptr(), pointer(y), pointer(lse)});
    if (!y.is_same(c.output)) c.output.copy_(y);
  }

  void backward(KernelContext& c) const override {
    const at::Tensor &q = input(c, 0), &k = input(c, 1), &v = input(c, 2);
    const AttentionShape shape = shape_of(c, q, k);
    const at::Tensor& lse = c.extras.at(0);
    at::Tensor& dq = gradient_slot(c, 0, q);
    gradient_slot(c, 1, k), gradient_slot(c, 2, v);
    at::Tensor &dk = c.input_gradients[1], &dv = c.input_gradients[2];
    if (flash(c, shape, true)) return flash_backward(c, shape);
    const at::Tensor cq = computed(q), ck = computed(k), cv = computed(v), y = computed(c.output),
                     dy = computed(output_gradient(c));
    const bool copies = !cq.is_same(q);
    at::Tensor slot_q = copies ? at::Tensor() : dq, slot_k = copies ? at::Tensor() : dk,
               slot_v = copies ? at::Tensor() : dv;
    prepare(slot_q, q.sizes(), cq.scalar_type()), prepare(slot_k, k.sizes(), cq.scalar_type());
    prepare(slot_v, v.sizes(), cq.scalar_type());
    AttentionBias bias = bias_of(c);
    at::Tensor distances, d_distances;
    if (!c.parameters.empty()) {
      distances = Distances(c, shape).lay_out(c.parameters[0], cq.scalar_type());
      d_distances = at::zeros({shape.b, distances.size(0), distances.size(1)}, distances.options());
      bias.by_distance = pointer(distances);
    }
    attention_backward({real_of(cq), shape, random_of(c, shape), bias, cq.const_data_ptr(), ck.const_data_ptr(),
                        cv.const_data_ptr(), y.const_data_ptr(), lse.const_data_ptr(), dy.const_data_ptr(),
                        pointer(slot_q), pointer(slot_k), pointer(slot_v), pointer(d_distances)});
    if (const at::Tensor table = parameter_gradient(c, 0); table.defined())
      Distances(c, shape).add_gradient(d_distances, table);
    if (copies) dq.copy_(slot_q), dk.copy_(slot_k), dv.copy_(slot_v);
  }

 private:
  static void flash_backward(KernelContext& c, const AttentionShape& shape) {
    const at::Tensor stats = c.extras[0].view({shape.b, shape.g * shape.r, shape.s});
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        heads_first(output_gradient(c)), heads_first(c.inputs[0]), heads_first(c.inputs[1]), heads_first(c.inputs[2]),
        heads_first(c.output), stats, 0, shape.causal);
    c.input_gradients[0].copy_(dq.transpose(1, 2).reshape(c.input_gradients[0].sizes()));
    c.input_gradients[1].copy_(dk.transpose(1, 2));
    c.input_gradients[2].copy_(dv.transpose(1, 2));
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_attention() { return std::make_shared<Attention>(); }

}  // namespace trellis
