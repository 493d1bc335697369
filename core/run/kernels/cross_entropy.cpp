#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "run/kernels/elementwise.h"
#include "run/kernels/kernels.h"
#include "run/kernels/matmul.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

// A chunk of tokens' logits over the vocabulary rows that this rank holds. Statistics have type C.
struct Chunk {
  Real real;
  void* logits;                // [tokens, columns], of which `real_columns` exist and the rest is padding
  const std::int64_t* labels;  // global; negative ones do not count
  std::int64_t tokens, columns, real_columns, first_column;
};

// stats [3, tokens]: maximum, sum of exponentials below it, the label's logit (0 where another rank has it).
template <class T>
TRELLIS_INLINE void statistics_of(const Chunk& chunk, Compute<T>* stats, std::int64_t begin, std::int64_t end) {
  using C = Compute<T>;
  for (std::int64_t token = begin; token < end; ++token) {
    const T* row = static_cast<const T*>(chunk.logits) + token * chunk.columns;
    const C top = lane_max<C>(chunk.real_columns, -INFINITY, [&](std::int64_t j) { return load(row[j]); });
    const std::int64_t label = chunk.labels[token] - chunk.first_column;
    const bool here = chunk.labels[token] >= 0 && label >= 0 && label < chunk.real_columns;
    stats[token] = top;
    stats[chunk.tokens + token] =
        lane_sum<C>(chunk.real_columns, [&](std::int64_t j) { return fast_exp(load(row[j]) - top); });
    stats[2 * chunk.tokens + token] = here ? load(row[label]) : C(0);
  }
}

// Logits become their gradients: scale (softmax - one at the label).
template <class T>
TRELLIS_INLINE void gradient_of(const Chunk& chunk, const double* lse, double scale, std::int64_t begin,
                                std::int64_t end) {
  using C = Compute<T>;
  for (std::int64_t token = begin; token < end; ++token) {
    T* row = static_cast<T*>(chunk.logits) + token * chunk.columns;
    const bool counts = chunk.labels[token] >= 0;
    const C factor = counts ? C(scale) : C(0), shift = C(lse[token]);
    const std::int64_t label = chunk.labels[token] - chunk.first_column;
    const bool here = counts && label >= 0 && label < chunk.real_columns;
    const C target = here ? fast_exp(load(row[label]) - shift) - C(1) : C(0);
    for (std::int64_t j = 0; j < chunk.real_columns; ++j) store(row[j], factor * fast_exp(load(row[j]) - shift));
    for (std::int64_t j = chunk.real_columns; j < chunk.columns; ++j) store(row[j], C(0));
    if (here) store(row[label], factor * target);
  }
}

TRELLIS_CLONES void statistics_loop(const Chunk& chunk, void* stats, std::int64_t begin, std::int64_t end){
    TRELLIS_BY_REAL(chunk.real, T, statistics_of<T>(chunk, static_cast<Compute<T>*>(stats), begin, end))} TRELLIS_CLONES
    void gradient_loop(const Chunk& chunk, const double* lse, double scale, std::int64_t begin, std::int64_t end) {
  TRELLIS_BY_REAL(chunk.real, T, gradient_of<T>(chunk, lse, scale, begin, end))
}

// Of the tokens that count.
struct Sums {
  double loss = 0;
  std::int64_t right = 0;  // no logit is above the label's
};

// Joins the statistics of all ranks, [ranks, 3, tokens], into each token's log-sum-exp; adds up what counts.
template <class C>
Sums join(const C* stats, std::int64_t ranks, const std::int64_t* labels, std::int64_t tokens, double* lse) {
  Sums sums;
  for (std::int64_t token = 0; token < tokens; ++token) {
    double top = -INFINITY, sum = 0, target = 0;
    const auto part = [&](std::int64_t rank, int i) {
      return static_cast<double>(stats[(rank * 3 + i) * tokens + token]);
    };
    for (std::int64_t rank = 0; rank < ranks; ++rank) top = std::max(top, part(rank, 0));
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      if (part(rank, 1) > 0) sum += part(rank, 1) * std::exp(part(rank, 0) - top);
      target += part(rank, 2);
    }
    lse[token] = top + std::log(sum);
    if (labels[token] < 0) continue;
    sums.loss += lse[token] - target;
    sums.right += target >= top;
  }
  return sums;
}

// The head's product and the loss, by chunks of tokens, so that the logits of a micro-batch never exist at once.
// Gradients are made on the way: of table and bias in their views, of the input in extras[0]. Where no gradients are wanted
// (a validation pass has no gradient view) only the loss is computed.
class CrossEntropy final : public OpKernel {
 public:
  explicit CrossEntropy(std::shared_ptr<Products> p) : products_(std::move(p)) {}

  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &labels = input(c, 1), &table = c.parameters[0];
    const std::int64_t tokens = labels.numel(), hidden = table.size(1);
    const auto v = static_cast<std::size_t>(parameter_dims(c, 0)[0]);
    const std::int64_t first = v < c.offset.size() ? c.offset[v] : 0;
    const std::int64_t real_vocab = c.op->integer("real_vocab", c.layer->dims[v].size);
    const std::int64_t size =
        std::clamp<std::int64_t>(c.op->integer("chunk", 1024), 1, std::max<std::int64_t>(tokens, 1));
    for (std::int64_t i = 0; i < tokens; ++i)
      if (const std::int64_t label = data<std::int64_t>(labels)[i]; label >= real_vocab)
        fail("op '{}': label {} is not below the vocabulary of {}", c.op->name, label, real_vocab);

    const at::Tensor dw = parameter_gradient(c, 0), db = parameter_gradient(c, 1);
    const at::Tensor bias = c.parameters.size() > 1 ? c.parameters[1] : at::Tensor();
    at::Tensor dx;
    if (dw.defined()) {
      c.extras.resize(1);
      dx = prepare(c.extras[0], x.sizes(), x.scalar_type()).view({tokens, hidden});
    }
    const at::Tensor rows = x.view({tokens, hidden});
    const at::Tensor logits = at::empty({size, table.size(0)}, table.options());
    double loss = 0;
    c.right = 0;
    for (std::int64_t begin = 0; begin < tokens; begin += size) {
      const std::int64_t n = std::min(size, tokens - begin);
      const Chunk chunk = {real_of(x),
                           logits.mutable_data_ptr(),
                           data<std::int64_t>(labels) + begin,
                           n,
                           table.size(0),
                           std::clamp<std::int64_t>(real_vocab - first, 0, table.size(0)),
                           first};
      const at::Tensor part = logits.narrow(0, 0, n), x_part = rows.narrow(0, begin, n);
      products_->forward(x_part, table, bias, part);
      std::vector<double> lse(static_cast<std::size_t>(n));
      const Sums sums = joined(c, chunk, v, lse.data());
      loss += sums.loss, *c.right += sums.right;
      if (!dw.defined()) continue;
      for_tokens(chunk,
                 [&](std::int64_t from, std::int64_t to) { gradient_loop(chunk, lse.data(), c.loss_scale, from, to); });
      products_->input_gradient(part, table, dx.narrow(0, begin, n));
      products_->weight_gradient(dw, part, x_part, begin == 0 && is_fresh(c, 0));
      if (!db.defined()) continue;
      if (begin == 0 && is_fresh(c, 1)) db.zero_();
      accumulate_rows(db, part);
    }
    if (!c.output.defined()) c.output = at::empty({}, at::TensorOptions().dtype(stats_type(c)));
    c.output.fill_(loss * c.loss_scale);
  }

  bool overwrites_gradients() const override { return true; }

 private:
  // Each token's log-sum-exp over the whole vocabulary.
  static Sums joined(const KernelContext& c, const Chunk& chunk, std::size_t v, double* lse) {
    const at::Tensor local = at::empty({3, chunk.tokens}, at::TensorOptions().dtype(stats_type(c)));
    for_tokens(chunk,
               [&](std::int64_t from, std::int64_t to) { statistics_loop(chunk, local.mutable_data_ptr(), from, to); });
    at::Tensor all = local;
    std::int64_t ranks = 1;
    if (v < c.sizes->axes.size() && !c.sizes->axes[v].empty()) {
      const auto found = c.inner.find(c.sizes->axes[v]);
      if (found == c.inner.end())
        fail(ExitCode::failure, "op '{}' has no communicator over its vocabulary", c.op->name);
      ranks = found->second->size();
      all = at::empty({ranks * local.numel()}, local.options());
      found->second->all_gather(all, local.view({-1}))->wait();
    }
    if (all.scalar_type() == at::kDouble) return join(data<double>(all), ranks, chunk.labels, chunk.tokens, lse);
    return join(data<float>(all), ranks, chunk.labels, chunk.tokens, lse);
  }

  template <class Body>
  static void for_tokens(const Chunk& chunk, Body&& body) {
    parallel_for(chunk.tokens, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(chunk.columns, 1)), body);
  }

  std::shared_ptr<Products> products_;
};

}  // namespace

std::shared_ptr<const OpKernel> make_cross_entropy(std::shared_ptr<Products> p) {
  return std::make_shared<CrossEntropy>(std::move(p));
}

}  // namespace trellis
