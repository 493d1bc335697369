// Attention with keys that are not seen, with a bias by distance, and over another sequence than the queries'.
#include <cmath>

#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

constexpr std::int64_t kQueries = 20, kBuckets = 8;

// `keys` of another sequence, of which `padding` more are there than the sequence has.
LayerSpec attention_layer(std::int64_t keys, const std::function<AttentionOptions(ValueId mask)>& options) {
  auto dims = block_dims();
  dims[1].size = kQueries;
  dims.push_back({"keys", std::string(kSequence), keys});
  dims.push_back({"buckets", std::string(kOther), kBuckets});
  LayerBuilder b("layer", dims);
  const ValueId q = b.input("q", {"batch", "seq", "kv_heads", "queries_per_kv", "head_dim"});
  const ValueId k = b.input("k", {"batch", "keys", "kv_heads", "head_dim"}),
                v = b.input("v", {"batch", "keys", "kv_heads", "head_dim"});
  b.output("y", b.attention("attention", q, k, v, options(b.field("mask", {"batch", "keys"}))));
  return b.build();
}

Tensors random_qkv(std::int64_t keys, const at::Tensor& mask) {
  return {random({2, kQueries, 2, 3, 8}), random({2, keys, 2, 8}, 2), random({2, keys, 2, 8}, 3), mask};
}

// Raffel et al. 2020, as their code has it.
at::Tensor buckets(std::int64_t keys, bool causal, std::int64_t max_distance) {
  at::Tensor distance = at::arange(keys, at::kLong).unsqueeze(0) - at::arange(kQueries, at::kLong).unsqueeze(1);
  std::int64_t rows = kBuckets;
  at::Tensor first = at::zeros_like(distance);
  if (!causal) rows /= 2, first = distance.gt(0).to(at::kLong) * rows, distance = distance.abs();
  else distance = -distance.clamp_max(0);
  const std::int64_t exact = rows / 2;
  const at::Tensor far = exact + ((distance.to(at::kFloat) / static_cast<double>(exact)).log() /
                                  std::log(static_cast<double>(max_distance) / static_cast<double>(exact)) *
                                  static_cast<double>(rows - exact)).to(at::kLong).clamp_max(rows - 1 - exact);
  return first + at::where(distance.lt(exact), distance, far);
}

// A query that sees no key gets zeros. table: [buckets g r]
at::Tensor plain(const Tensors& x, const at::Tensor& table, bool causal, double scale, std::int64_t window = kQueries) {
  const std::int64_t keys = x[1].size(1);
  at::Tensor scores = at::einsum("bsgrd,btgd->bgrst", {x[0], x[1]}) * scale;
  if (table.defined()) scores = scores + table.index({buckets(keys, causal, 16)}).permute({2, 3, 0, 1});
  at::Tensor seen = x[3].view({2, 1, 1, 1, keys}).ne(0);
  if (causal) seen = seen.logical_and(at::ones({kQueries, keys}, at::kBool).tril().triu(1 - window));
  const at::Tensor any = seen.any(-1, true);
  const at::Tensor p = at::softmax(scores.masked_fill(seen.logical_not(), -1e300), -1) * any.to(at::kDouble);
  return at::einsum("bgrst,btgd->bsgrd", {p, x[2]});
}

at::Tensor mask_of(std::int64_t keys, const std::vector<std::int64_t>& hidden_first, const std::vector<std::int64_t>& hidden_second) {
  const at::Tensor mask = at::ones({2, keys}, at::kLong);
  for (const std::int64_t key : hidden_first) mask[0][key] = 0;
  for (const std::int64_t key : hidden_second) mask[1][key] = 0;
  return mask;
}

TEST_CASE("attention sees no masked key, wherever it stands") {
  for (const bool causal : {false, true})
    for (const at::Tensor& mask : {mask_of(20, {19, 18, 17}, {}), mask_of(20, {0, 1, 7, 19}, {2, 3}),
                                   at::cat({at::zeros({1, 20}, at::kLong), at::ones({1, 20}, at::kLong)})}) {
      CAPTURE(causal);
      const auto layer = attention_layer(20, [&](ValueId m) { return AttentionOptions{.causal = causal, .mask = m}; });
      check_against_autograd(layer, 2, random_qkv(20, mask), {},
                             [&](auto& x, auto&) { return plain(x, {}, causal, 1 / std::sqrt(8.0)); });
    }
}

TEST_CASE("attention over another sequence, with a scale of its own") {
  const auto layer = attention_layer(33, [&](ValueId m) { return AttentionOptions{.mask = m, .scale = 0.7}; });
  check_against_autograd(layer, 2, random_qkv(33, mask_of(33, {32, 5}, {30, 31, 32})), {},
                         [&](auto& x, auto&) { return plain(x, {}, false, 0.7); });
}

TEST_CASE("attention with a bias by distance has the gradient of its table") {
  for (const bool causal : {false, true}) {
    CAPTURE(causal);
    const auto layer = attention_layer(20, [&](ValueId m) {
      return AttentionOptions{.causal = causal, .mask = m, .scale = 1, .buckets = "buckets", .max_distance = 16};
    });
    check_against_autograd(layer, 2, random_qkv(20, mask_of(20, {18, 19}, {4})), {random({kBuckets, 2, 3}, 5)},
                           [&](auto& x, auto& p) { return plain(x, p[0], causal, 1); });
  }
}

TEST_CASE("attention with a window, masked keys and a bias by distance agrees with autograd") {
  const auto layer = attention_layer(20, [&](ValueId m) {
    return AttentionOptions{
        .causal = true, .window = 6, .mask = m, .scale = 1, .buckets = "buckets", .max_distance = 16};
  });
  for (const at::Tensor& mask : {mask_of(20, {18, 19}, {4}), mask_of(20, {3, 4, 5, 6, 7, 8, 9}, {0, 1, 2, 12, 19})})
    check_against_autograd(layer, 2, random_qkv(20, mask), {random({kBuckets, 2, 3}, 5)},
                           [&](auto& x, auto& p) { return plain(x, p[0], true, 1, 6); });
}

TEST_CASE("keys that only pad a sequence are seen by nobody") {
  const Tensors x = random_qkv(24, at::ones({2, 24}, at::kLong));
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    OneOp one(attention_layer(19, [](ValueId m) { return AttentionOptions{.mask = m}; }), 2, dtype);
    one.cut("keys", 0, 24);  // of which the last five are padding
    one.give(x);
    const at::Tensor mask = mask_of(24, {19, 20, 21, 22, 23}, {19, 20, 21, 22, 23});
    const at::Tensor expected = plain({x[0], x[1], x[2], mask}, {}, false, 1 / std::sqrt(8.0));
    CHECK(difference(one.forward(), expected) < tolerance(dtype));
    one.backward(random({2, kQueries, 2, 3, 8}, 9));
    CHECK(one.c.input_gradients[1].narrow(1, 19, 5).abs().max().item<double>() == 0);
    CHECK(one.c.input_gradients[2].narrow(1, 19, 5).abs().max().item<double>() == 0);
  }
}

}  // namespace
}  // namespace trellis::test
