#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logsumexp.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/support.h"
#include "run/kernels/distance.h"
#include "run/kernels/philox.h"

namespace trellis::cuda {
namespace {

// b s (g r) d as LibTorch's kernels want it: b (g r) s d, a view.
at::Tensor heads_first(const at::Tensor& t) {
  return t.dim() == 5 ? t.flatten(2, 3).transpose(1, 2) : t.transpose(1, 2);
}

double dropout_of(const KernelContext& c) { return c.training ? c.op->real("dropout") : 0; }

// A piece of the work whose scores are in memory at once: samples x kv heads x queries.
struct Piece {
  std::int64_t sample, samples, group, groups, query, queries;
};

// Attention with scores in memory, one piece at a time: for f32 and f64, which no fused kernel computes in full
// precision, and for dropout by coordinates. bf16 is computed in f32.
class Explicit {
 public:
  Explicit(const KernelContext& c, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v)
      : c_(c),
        type_(compute_type(c)),
        q_(q),
        k_(k),
        v_(v),
        b_(q.size(0)),
        s_(q.size(1)),
        g_(q.size(2)),
        r_(q.size(3)),
        d_(q.size(4)),
        t_(k.size(1)),
        causal_(c.op->integer("causal") != 0),
        dropout_(dropout_of(c)),
        scale_(attention_scale(c, d_)) {
    if (dropout_ > 0) prepare_mask();
    if (!c.parameters.empty()) prepare_buckets();
  }

  void forward(const at::Tensor& output, const at::Tensor& lse) const {
    for_pieces([&](const Piece& p) {
      const at::Tensor score = scores(p);
      const at::Tensor sum = at::logsumexp(score, {-1});
      sum.masked_fill_(sum.isinf(), 0);  // a query that sees no key
      const at::Tensor probability = score.sub_(sum.unsqueeze(-1)).exp_();
      if (dropout_ > 0) mask(probability, p);
      cut_queries(output, p).copy_(
          queries_back(at::bmm(probability.view({p.samples * p.groups, -1, t_}), keys(v_, p)), p));
      cut_stats(lse, p).copy_(sum.view({p.samples, p.groups, r_, p.queries}));
    });
  }

  void backward(const at::Tensor& output, const at::Tensor& lse, const at::Tensor& dy, const at::Tensor& dq,
                const at::Tensor& dk, const at::Tensor& dv, const at::Tensor& d_table) const {
    // A key's gradient is a sum over the pieces of its queries.
    const at::Tensor key_sum = key_gradient(), value_sum = key_gradient();
    for_pieces([&](const Piece& p) {
      const at::Tensor q = queries(q_, p), k = keys(k_, p), v = keys(v_, p), go = queries(dy, p);
      const at::Tensor stats = cut_stats(lse, p).reshape({p.samples * p.groups, r_, p.queries, 1});
      const at::Tensor probability = scores(p).sub_(stats).exp_();
      const at::Tensor slope = at::bmm(go, v.transpose(1, 2)).view(probability.sizes());  // of the kept probabilities
      at::Tensor kept = probability;
      if (dropout_ > 0) {
        kept = probability.clone();
        mask(kept, p), mask(slope, p);
      }
      add_keys(value_sum, at::bmm(matrix(kept).transpose(1, 2), go), p);
      const at::Tensor delta = go.mul(queries(output, p)).sum(-1).view({p.samples * p.groups, r_, p.queries, 1});
      slope.sub_(delta).mul_(probability);
      if (d_table.defined()) add_bias_gradient(d_table, slope, p);
      const at::Tensor gradient = matrix(slope.mul_(scale_));
      cut_queries(dq, p).copy_(queries_back(at::bmm(gradient, k), p));
      add_keys(key_sum, at::bmm(gradient.transpose(1, 2), q), p);
    });
    dk.copy_(key_sum.transpose(1, 2)), dv.copy_(value_sum.transpose(1, 2));
  }

 private:
  static constexpr std::int64_t kMostScores = std::int64_t(1) << 26;  // of a piece: 256 MiB in f32

  template <class Body>
  void for_pieces(Body&& body) const {
    if (b_ == 0 || s_ == 0) return;
    const auto fitting = [&](std::int64_t each, std::int64_t most) {
      return std::clamp<std::int64_t>(kMostScores / std::max<std::int64_t>(each, 1), 1, most);
    };
    const std::int64_t queries = fitting(r_ * t_, s_), groups = fitting(queries * r_ * t_, g_);
    const std::int64_t samples = fitting(groups * queries * r_ * t_, b_);
    for (std::int64_t b = 0; b < b_; b += samples)
      for (std::int64_t g = 0; g < g_; g += groups)
        for (std::int64_t s = 0; s < s_; s += queries)
          body(Piece{b, std::min(samples, b_ - b), g, std::min(groups, g_ - g), s, std::min(queries, s_ - s)});
  }

  at::Tensor matrix(const at::Tensor& t) const { return t.view({t.size(0), -1, t_}); }
  at::Tensor key_gradient() const { return at::empty({b_, g_, t_, d_}, q_.options().dtype(type_)).zero_(); }

  // Of [b s g r d]: the piece, a view; as matrices [b g, r s, d]; and such matrices as [b s g r d] again.
  static at::Tensor cut_queries(const at::Tensor& t, const Piece& p) {
    return t.narrow(0, p.sample, p.samples).narrow(1, p.query, p.queries).narrow(2, p.group, p.groups);
  }
  at::Tensor queries(const at::Tensor& t, const Piece& p) const {
    return cut_queries(t, p).permute({0, 2, 3, 1, 4}).to(type_).reshape({p.samples * p.groups, r_ * p.queries, d_});
  }
  at::Tensor queries_back(const at::Tensor& matrices, const Piece& p) const {
    return matrices.view({p.samples, p.groups, r_, p.queries, d_}).permute({0, 3, 1, 2, 4});
  }
  // Of [b t g d]: matrices [b g, t, d].
  at::Tensor keys(const at::Tensor& t, const Piece& p) const {
    const at::Tensor part = t.narrow(0, p.sample, p.samples).narrow(2, p.group, p.groups);
    return part.transpose(1, 2).to(type_).reshape({p.samples * p.groups, t_, d_});
  }
  // To [b g t d]: adds matrices [b g, t, d].
  void add_keys(const at::Tensor& sum, const at::Tensor& matrices, const Piece& p) const {
    sum.narrow(0, p.sample, p.samples).narrow(1, p.group, p.groups).add_(matrices.view({p.samples, p.groups, t_, d_}));
  }
  // Of [b g r s].
  static at::Tensor cut_stats(const at::Tensor& lse, const Piece& p) {
    return lse.narrow(0, p.sample, p.samples).narrow(1, p.group, p.groups).narrow(3, p.query, p.queries);
  }

  // [b g, r, s, t]; -inf where a query does not see the key.
  at::Tensor scores(const Piece& p) const {
    const at::Tensor product = at::bmm(queries(q_, p), keys(k_, p).transpose(1, 2)).mul_(scale_);
    const at::Tensor result = product.view({p.samples * p.groups, r_, p.queries, t_});
    constexpr double kNothing = -std::numeric_limits<double>::infinity();
    if (buckets_.defined()) {
      const at::Tensor table = c_.parameters[0].narrow(1, p.group, p.groups).to(type_);
      const at::Tensor bias = at::index_select(table, 0, rows(p)).view({p.queries, t_, p.groups, r_});
      result.view({p.samples, p.groups, r_, p.queries, t_}).add_(bias.permute({2, 3, 0, 1}));
    }
    const auto index = at::TensorOptions(at::kLong).device(q_.device());
    const at::Tensor key = at::arange(t_, index);
    if (causal_) result.masked_fill_(key.gt(at::arange(p.query, p.query + p.queries, index).unsqueeze(1)), kNothing);
    if (const std::int64_t window = c_.op->integer("window"); window > 0)
      result.masked_fill_(key.le(at::arange(p.query - window, p.query - window + p.queries, index).unsqueeze(1)), kNothing);
    if (const std::int64_t there = real_keys(c_, t_); there < t_ && !causal_) result.masked_fill_(key.ge(there), kNothing);
    if (c_.inputs.size() > 3)
      result.view({p.samples, -1, t_})
          .masked_fill_(c_.inputs[3].narrow(0, p.sample, p.samples).eq(0).unsqueeze(1), kNothing);
    return result;
  }

  // Rows of the bias's table for the queries of a piece and all keys.
  void prepare_buckets() {
    const std::vector<std::int64_t> by_distance = distance_buckets(c_, s_, t_);
    const at::Tensor here = at::empty({s_, t_}, at::kLong);
    for (std::int64_t query = 0; query < s_; ++query)
      std::copy_n(by_distance.begin() + s_ - 1 - query, t_, here.mutable_data_ptr<std::int64_t>() + query * t_);
    buckets_ = here.to(q_.device());
  }
  at::Tensor rows(const Piece& p) const { return buckets_.narrow(0, p.query, p.queries).reshape({-1}); }
  void add_bias_gradient(const at::Tensor& d_table, const at::Tensor& slope, const Piece& p) const {
    const at::Tensor sum = slope.view({p.samples, p.groups, r_, p.queries, t_}).sum(0).permute({2, 3, 0, 1});
    const c10::List<std::optional<at::Tensor>> where({rows(p)});  // sorts, and adds up in one order
    d_table.narrow(1, p.group, p.groups)
        .index_put_(where, sum.reshape({-1, p.groups, r_}).to(d_table.scalar_type()), true);
  }

  // Coordinates are global and unpadded: ((query x heads + head) x keys + key), see attention_blocked.h.
  void prepare_mask() {
    const auto& dims = c_.op->input_dims[0];
    const auto g = static_cast<std::size_t>(dims[2]), r = static_cast<std::size_t>(dims[3]);
    const auto start = [&](std::size_t d) { return d < c_.offset.size() ? c_.offset[d] : 0; };
    const auto t = static_cast<std::size_t>(c_.op->input_dims[1][1]);
    all_queries_ = std::max(r_, c_.layer->dims[r].size);
    all_heads_ = std::max(g_, c_.layer->dims[g].size) * all_queries_;
    all_keys_ = c_.layer->dims[t].size > 0 ? c_.layer->dims[t].size : t_;
    first_head_ = start(g) * all_queries_ + start(r);
    samples_ = c_.samples.to(q_.device());
  }
  // Drops and scales [b g, r, s, t] in place.
  void mask(const at::Tensor& t, const Piece& p) const {
    const DropoutRule rule(dropout_);
    const std::int64_t first = (p.query * all_heads_ + first_head_ + p.group * all_queries_) * all_keys_;
    run(place_of(t), MaskLoop{element_of(t),
                              t.mutable_data_ptr(),
                              t.const_data_ptr(),
                              data<std::int64_t>(samples_) + p.sample,
                              random_key(c_),
                              static_cast<std::uint64_t>(first),
                              5,
                              {p.samples, p.groups, r_, p.queries, t_},
                              {0, all_queries_ * all_keys_, all_keys_, all_heads_ * all_keys_, 1},
                              rule.threshold,
                              rule.scale});
  }

  const KernelContext& c_;
  at::ScalarType type_;
  const at::Tensor &q_, &k_, &v_;
  std::int64_t b_, s_, g_, r_, d_, t_;
  bool causal_;
  double dropout_, scale_;
  std::int64_t all_queries_ = 0, all_heads_ = 0, all_keys_ = 0, first_head_ = 0;
  at::Tensor samples_;
  at::Tensor buckets_;  // [s t]; undefined where there is no bias
};

// q: b s g r d; k, v: b t g d -> b s g r d. extras: lse [b g r s], the logarithm of each softmax's denominator.
struct Attention final : OpKernel {
  // What LibTorch's flash kernel computes; the rest is explicit. Its causal mask is aligned to the last key.
  static bool flash(const KernelContext& c, const at::Tensor& q, const at::Tensor& k) {
    const std::int64_t d = q.size(4);
    const bool plain = c.inputs.size() == 3 && c.op->parameters.empty() && c.op->real("scale") == 0 && c.op->integer("window") == 0 &&
                       (c.op->integer("causal") != 0 || real_keys(c, k.size(1)) == k.size(1));
    return plain && q.is_cuda() && c.dtype == Dtype::bf16 && dropout_of(c) <= 0 && d % 8 == 0 && d <= 256 && q.size(1) > 1 &&
           q.size(1) == k.size(1);
  }

  void forward(KernelContext& c) const override {
    const at::Tensor &q = input(c, 0), &k = input(c, 1), &v = input(c, 2);
    c.extras.resize(1);
    const std::vector<std::int64_t> stats = {q.size(0), q.size(2), q.size(3), q.size(1)};
    if (flash(c, q, k)) {
      const auto result = at::_scaled_dot_product_flash_attention(heads_first(q), heads_first(k), heads_first(v), 0,
                                                                  c.op->integer("causal") != 0);
      give(c.output, std::get<0>(result).transpose(1, 2), q.sizes(), q.scalar_type());
      give(c.extras[0], std::get<1>(result), stats, stats_type(c));
      return;
    }
    prepare_like(c.output, q);
    prepare(c.extras[0], stats, q.options().dtype(stats_type(c)));
    Explicit(c, q, k, v).forward(c.output, c.extras[0]);
  }

  void backward(KernelContext& c) const override {
    const at::Tensor &q = input(c, 0), &k = input(c, 1), &v = input(c, 2);
    if (flash(c, q, k)) return flash_backward(c);
    c.input_gradients.resize(c.inputs.size());
    Explicit(c, q, k, v)
        .backward(c.output, c.extras.at(0), output_gradient(c), gradient_slot(c, 0, q), gradient_slot(c, 1, k),
                  gradient_slot(c, 2, v), parameter_gradient(c, 0));
  }

 private:
  static void flash_backward(KernelContext& c) {
    const at::Tensor &q = c.inputs[0], &k = c.inputs[1], &v = c.inputs[2];
    const at::Tensor stats = c.extras.at(0).view({q.size(0), q.size(2) * q.size(3), q.size(1)});
    const at::Tensor unused =
        at::empty({2}, q.options().dtype(at::kLong));  // state of LibTorch's dropout, which is off
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_backward(
        heads_first(output_gradient(c)), heads_first(q), heads_first(k), heads_first(v), heads_first(c.output), stats,
        {}, {}, q.size(1), k.size(1), 0, c.op->integer("causal") != 0, unused, unused);
    c.input_gradients.resize(3);
    give(c.input_gradients[0], dq.transpose(1, 2), q.sizes(), q.scalar_type());
    give(c.input_gradients[1], dk.transpose(1, 2), k.sizes(), k.scalar_type());
    give(c.input_gradients[2], dv.transpose(1, 2), v.sizes(), v.scalar_type());
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_attention() { return std::make_shared<Attention>(); }

}  // namespace trellis::cuda
