#include <cmath>

#include "run/kernels/philox.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec attention_layer(std::int64_t s, bool causal, double dropout, std::int64_t window = 0) {
  auto dims = block_dims();
  dims[1].size = s;
  dims.push_back({"keys", std::string(kSequence), s});
  LayerBuilder b("layer", dims);
  const ValueId q = b.input("q", {"batch", "seq", "kv_heads", "queries_per_kv", "head_dim"});
  const ValueId k = b.input("k", {"batch", "seq", "kv_heads", "head_dim"}),
                v = b.input("v", {"batch", "seq", "kv_heads", "head_dim"});
  b.output("y", b.attention("attention", q, k, v, {.causal = causal, .window = window, .dropout = dropout}));
  return b.build();
}

// q: b s g r d, k and v: b t g d; mask multiplies probabilities b g r s t where defined.
at::Tensor plain(const Tensors& x, bool causal, const at::Tensor& mask = {}, std::int64_t window = 0) {
  at::Tensor scores = at::einsum("bsgrd,btgd->bgrst", {x[0], x[1]}) / std::sqrt(static_cast<double>(x[0].size(-1)));
  if (causal) {
    const auto later = at::ones({scores.size(-2), scores.size(-1)}, at::kBool).triu(1);
    scores = scores.masked_fill(later, -INFINITY);
    if (window > 0) scores = scores.masked_fill(at::ones_like(later).tril(-window), -INFINITY);
  }
  at::Tensor p = at::softmax(scores, -1);
  if (mask.defined()) p = p * mask;
  return at::einsum("bgrst,btgd->bsgrd", {p, x[2]});
}

Tensors random_qkv(std::int64_t s) {
  return {random({2, s, 2, 3, 8}), random({2, s, 2, 8}, 2), random({2, s, 2, 8}, 3)};
}

TEST_CASE("attention with fewer key heads agrees with autograd, causal or not") {
  for (const bool causal : {true, false})
    for (const std::int64_t s : {24, 300}) {  // 300 queries are more than one block, and too many to widen bf16
      CAPTURE(causal);
      CAPTURE(s);
      check_against_autograd(attention_layer(s, causal, 0), 2, random_qkv(s), {},
                             [&](auto& x, auto&) { return plain(x, causal); });
    }
}

TEST_CASE("attention with a window agrees with autograd, whether it spans blocks of queries or less than one") {
  for (const std::int64_t s : {24, 300})
    for (const std::int64_t window : {1, 5, 23, 150}) {
      if (window >= s) continue;
      CAPTURE(s);
      CAPTURE(window);
      check_against_autograd(attention_layer(s, true, 0, window), 2, random_qkv(s), {},
                             [&](auto& x, auto&) { return plain(x, true, {}, window); });
    }
}

TEST_CASE("attention leaves the logarithm of each softmax's denominator") {
  const Tensors x = random_qkv(24);
  const at::Tensor scores = at::einsum("bsgrd,btgd->bgrst", {x[0], x[1]}) / std::sqrt(8.0);
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    OneOp one(attention_layer(24, false, 0), 2, dtype);
    one.give(x);
    one.forward();
    CHECK(difference(one.c.extras[0], at::logsumexp(scores, {-1})) < tolerance(dtype));
  }
}

// The mask by the rule, one word at a time.
at::Tensor mask_of(const OneOp& one, std::int64_t s, double p) {
  const at::Tensor mask = at::zeros({2, 2, 3, s, s}, at::kDouble);
  const Philox philox{mix({one.c.seed, one.c.step, one.c.layer_index, one.c.op_index})};
  auto at = mask.accessor<double, 5>();
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t head = 0; head < 6; ++head)
      for (std::int64_t query = 0; query < s; ++query)
        for (std::int64_t key = 0; key < s; ++key) {
          const auto low = static_cast<std::uint64_t>(head * s + key + query * 6 * s);
          const auto word = philox(static_cast<std::uint64_t>(b), low / 4).w[low % 4];
          at[b][head / 3][head % 3][query][key] = word >= p * 4294967296.0 ? 1 / (1 - p) : 0;
        }
  return mask;
}

TEST_CASE("attention with dropout agrees with autograd under the mask of its coordinates") {
  const OneOp one(attention_layer(24, true, 0.25), 2, Dtype::f64);
  const at::Tensor mask = mask_of(one, 24, 0.25);
  check_against_autograd(attention_layer(24, true, 0.25), 2, random_qkv(24), {},
                         [&](auto& x, auto&) { return plain(x, true, mask); }, {Dtype::f64});
  check_against_autograd(attention_layer(24, true, 0.25, 7), 2, random_qkv(24), {},
                         [&](auto& x, auto&) { return plain(x, true, mask, 7); }, {Dtype::f64});
}

TEST_CASE("attention with dropout over the second half of the heads is half of the whole") {
  const Tensors x = random_qkv(24);
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    OneOp whole(attention_layer(24, false, 0.25), 2, dtype), half(attention_layer(24, false, 0.25), 2, dtype);
    half.layer.ops[0].name = "half";
    whole.give(x);
    half.cut("kv_heads", 1, 1);
    half.give(
        {x[0].narrow(2, 1, 1).contiguous(), x[1].narrow(2, 1, 1).contiguous(), x[2].narrow(2, 1, 1).contiguous()});
    CHECK(difference(half.forward(), whole.forward().narrow(2, 1, 1)) < tolerance(dtype));
    const at::Tensor dy = random({2, 24, 2, 3, 8}, 5);
    whole.backward(dy), half.backward(dy.narrow(2, 1, 1).contiguous());
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(difference(half.c.input_gradients[i], whole.c.input_gradients[i].narrow(2, 1, 1)) < tolerance(dtype));
  }
}

TEST_CASE("rotary agrees with autograd of the rotate-half formula") {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "kv_heads", "head_dim"});
  b.output("y", b.rotary("rotary", x, b.field("positions", {"batch", "seq"}), 10000));
  const at::Tensor positions = at::arange(24, at::kLong).add(5).expand({2, 24}).contiguous();
  check_against_autograd(b.build(), 2, {random({2, 24, 2, 8}), positions}, {}, [&](auto& in, auto&) {
    const auto angle =
        at::einsum("bs,i->bsi", {positions.to(at::kDouble), at::pow(10000.0, at::arange(4, at::kDouble) / -4.0)});
    const auto both = at::cat({angle, angle}, -1).unsqueeze(2);
    const auto turned = at::cat({-in[0].narrow(-1, 4, 4), in[0].narrow(-1, 0, 4)}, -1);
    return in[0] * both.cos() + turned * both.sin();
  });
}

// Of LLaMA 3.1, at a size at which all three ranges of pairs are there: 16 pairs, 64 positions.
TEST_CASE("rotary turns slowly where its scaling says so") {
  const RotaryScaling scaling{.factor = 8, .original_positions = 64, .low_turns = 1, .high_turns = 4};
  LayerBuilder b("layer", {{"batch", std::string(kBatch), 0},
                           {"seq", std::string(kSequence), 24},
                           {"heads", std::string(kHeads), 2},
                           {"head_dim", std::string(kOther), 32}});
  const ValueId x = b.input("x", {"batch", "seq", "heads", "head_dim"});
  b.output("y", b.rotary("rotary", x, b.field("positions", {"batch", "seq"}), 100, scaling));
  const at::Tensor positions = at::arange(24, at::kLong).add(5).expand({2, 24}).contiguous();
  const at::Tensor full = at::pow(100.0, at::arange(16, at::kDouble) / -16.0);
  const at::Tensor length = 2 * M_PI / full;  // of a turn, in positions
  const at::Tensor smooth = (64 / length - 1) / 3;
  at::Tensor turn = (1 - smooth) * full / 8 + smooth * full;
  turn = at::where(length < 64.0 / 4, full, at::where(length > 64.0, full / 8, turn));
  check_against_autograd(b.build(), 2, {random({2, 24, 2, 32}), positions}, {}, [&](auto& in, auto&) {
    const auto angle = at::einsum("bs,i->bsi", {positions.to(at::kDouble), turn});
    const auto both = at::cat({angle, angle}, -1).unsqueeze(2);
    const auto turned = at::cat({-in[0].narrow(-1, 16, 16), in[0].narrow(-1, 0, 16)}, -1);
    return in[0] * both.cos() + turned * both.sin();
  });
}

}  // namespace
}  // namespace trellis::test
