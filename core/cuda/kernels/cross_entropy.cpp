#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/max.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "cuda/kernels/kernels.h"
#include "cuda/kernels/products.h"
#include "cuda/kernels/support.h"

namespace trellis::cuda {
namespace {

// A chunk of tokens' logits over the vocabulary rows that this rank holds.
struct Chunk {
  at::Tensor values;  // [tokens, columns that exist] in the stats type; of f32 and f64 the logits themselves
  at::Tensor counts;  // [tokens] bool: the label is not negative
  at::Tensor here;    // [tokens] bool: it counts, and is one of the columns
  at::Tensor column;  // [tokens]: the label's, 0 where it is not here
};

// The head's product and the loss, by chunks of tokens, so that the logits of a micro-batch never exist at once.
// Gradients are made on the way, unless none are wanted. See run/kernels/cross_entropy.cpp.
class CrossEntropy final : public OpKernel {
 public:
  void forward(KernelContext& c) const override {
    const at::Tensor &x = input(c, 0), &table = c.parameters[0];
    const std::int64_t tokens = input(c, 1).numel(), hidden = table.size(1);
    const at::Tensor labels = input(c, 1).view({tokens}), rows = x.view({tokens, hidden});
    const auto v = static_cast<std::size_t>(parameter_dims(c, 0)[0]);
    const std::int64_t first = v < c.offset.size() ? c.offset[v] : 0;
    const std::int64_t real_vocab = c.op->integer("real_vocab", c.layer->dims[v].size);
    const std::int64_t columns = std::clamp<std::int64_t>(real_vocab - first, 0, table.size(0));
    const std::int64_t size =
        std::clamp<std::int64_t>(c.op->integer("chunk", 1024), 1, std::max<std::int64_t>(tokens, 1));
    check(c, labels, real_vocab);

    const at::Tensor dw = parameter_gradient(c, 0), db = parameter_gradient(c, 1);
    const at::Tensor bias = c.parameters.size() > 1 ? c.parameters[1] : at::Tensor();
    at::Tensor dx;
    if (dw.defined()) {
      c.extras.resize(1);
      dx = prepare_like(c.extras[0], x).view({tokens, hidden});
    }
    const at::Tensor logits = at::empty({size, table.size(0)}, table.options());
    const at::Tensor loss = at::zeros({}, x.options().dtype(at::kDouble));
    const at::Tensor right = dw.defined() ? at::Tensor() : at::zeros({}, labels.options());
    for (std::int64_t begin = 0; begin < tokens; begin += size) {
      const std::int64_t n = std::min(size, tokens - begin);
      const at::Tensor part = logits.narrow(0, 0, n), x_part = rows.narrow(0, begin, n);
      product(x_part, table, bias, part);
      const Chunk chunk = chunk_of(c, part.narrow(1, 0, columns), labels.narrow(0, begin, n), first);
      const at::Tensor lse = losses(c, chunk, v, loss, right);
      if (!dw.defined()) continue;
      to_gradient(c, chunk, lse, part);
      input_product(part, table, dx.narrow(0, begin, n));
      weight_product(dw, part, x_part, begin == 0 && is_fresh(c, 0));
      if (!db.defined()) continue;
      if (begin == 0 && is_fresh(c, 1)) db.zero_();
      db.add_(at::sum(part, {0}, false, db.scalar_type()));
    }
    give(c.output, loss.mul(c.loss_scale), {}, stats_type(c));
    if (right.defined()) c.right = right.item<std::int64_t>();
  }

  bool overwrites_gradients() const override { return true; }

 private:
  // Waits for the device: a label that has no row would end it.
  static void check(const KernelContext& c, const at::Tensor& labels, std::int64_t real_vocab) {
    if (labels.numel() == 0) return;
    if (const auto label = at::max(labels).item<std::int64_t>(); label >= real_vocab)
      fail("op '{}': label {} is not below the vocabulary of {}", c.op->name, label, real_vocab);
  }

  static Chunk chunk_of(const KernelContext& c, const at::Tensor& logits, const at::Tensor& labels,
                        std::int64_t first) {
    const at::Tensor column = labels.sub(first), counts = labels.ge(0);
    const at::Tensor here = counts.logical_and(column.ge(0)).logical_and_(column.lt(logits.size(1)));
    return {logits.to(stats_type(c)), counts, here, column.mul(here)};
  }
  // values[token, column of its label]
  static at::Tensor at_label(const Chunk& chunk) {
    return chunk.values.gather(1, chunk.column.unsqueeze(1)).squeeze(1);
  }

  // Each token's log-sum-exp over the whole vocabulary, in double; adds the counted losses to `loss`, and to `right`,
  // where it is, how many tokens have no logit above their label's.
  static at::Tensor losses(const KernelContext& c, const Chunk& chunk, std::size_t v, const at::Tensor& loss, const at::Tensor& right) {
    // Maximum, sum of exponentials below it, the label's logit (0 where another rank has it).
    const at::Tensor local = at::zeros({3, chunk.values.size(0)}, chunk.values.options());
    if (chunk.values.size(1) == 0) {
      local.select(0, 0).fill_(-std::numeric_limits<double>::infinity());
    } else {
      const at::Tensor top = chunk.values.amax({1});
      local.select(0, 0).copy_(top);
      local.select(0, 1).copy_(chunk.values.sub(top.unsqueeze(1)).exp_().sum({1}));
      local.select(0, 2).copy_(at_label(chunk).masked_fill_(chunk.here.logical_not(), 0));
    }
    const at::Tensor all = of_all_ranks(c, local, v).to(at::kDouble);  // [ranks 3 tokens]
    const at::Tensor tops = all.select(1, 0), top = tops.amax({0});
    const at::Tensor lse = all.select(1, 1).mul(tops.sub(top).exp_()).sum({0}).log_().add_(top);
    const at::Tensor target = all.select(1, 2).sum({0});
    loss.add_(lse.sub(target).masked_fill_(chunk.counts.logical_not(), 0).sum());
    if (right.defined()) right.add_(target.ge(top).logical_and_(chunk.counts).sum());
    return lse;
  }

  static at::Tensor of_all_ranks(const KernelContext& c, const at::Tensor& local, std::size_t v) {
    if (v >= c.sizes->axes.size() || c.sizes->axes[v].empty()) return local.unsqueeze(0);
    const auto found = c.inner.find(c.sizes->axes[v]);
    if (found == c.inner.end()) fail(ExitCode::failure, "op '{}' has no communicator over its vocabulary", c.op->name);
    const std::int64_t ranks = found->second->size();
    const at::Tensor all = at::empty({ranks * local.numel()}, local.options());
    found->second->all_gather(all, local.view({-1}))->wait();
    return all.view({ranks, 3, -1});
  }

  // Logits become their gradients: scale (softmax - one at the label); padding's are 0.
  static void to_gradient(const KernelContext& c, const Chunk& chunk, const at::Tensor& lse, const at::Tensor& logits) {
    const std::int64_t columns = chunk.values.size(1);
    if (columns < logits.size(1)) logits.narrow(1, columns, logits.size(1) - columns).zero_();
    if (columns == 0) return;
    const at::Tensor factor = chunk.counts.to(chunk.values.scalar_type()).mul_(c.loss_scale);
    const at::Tensor p = chunk.values.sub_(lse.to(chunk.values.scalar_type()).unsqueeze(1)).exp_();
    const at::Tensor target = at_label(chunk), row = at::arange(p.size(0), chunk.column.options());
    const c10::List<std::optional<at::Tensor>> labels({row, chunk.column});
    p.index_put_(labels, at::where(chunk.here, target.sub(1), target), false);
    p.mul_(factor.unsqueeze(1));
    if (!p.is_alias_of(logits)) logits.narrow(1, 0, columns).copy_(p);
  }
};

}  // namespace

std::shared_ptr<const OpKernel> make_cross_entropy() { return std::make_shared<CrossEntropy>(); }

}  // namespace trellis::cuda
