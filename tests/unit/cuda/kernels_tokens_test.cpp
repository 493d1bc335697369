// Masked and biased attention, ops on single tokens, activations that look at their output.
#include "unit/cuda/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec attention_layer(std::int64_t keys, const std::function<AttentionOptions(ValueId mask)>& options) {
  auto dims = block_dims();
  dims.push_back({"keys", std::string(kSequence), keys});
  dims.push_back({"buckets", std::string(kOther), 8});
  LayerBuilder b("layer", dims);
  const ValueId q = b.input("q", {"batch", "seq", "kv_heads", "queries_per_kv", "head_dim"});
  const ValueId k = b.input("k", {"batch", "keys", "kv_heads", "head_dim"}),
                v = b.input("v", {"batch", "keys", "kv_heads", "head_dim"});
  b.output("y", b.attention("attention", q, k, v, options(b.field("mask", {"batch", "keys"}))));
  return b.build();
}

Tensors inputs(std::int64_t keys) {
  const at::Tensor mask = at::ones({2, keys}, at::kLong);
  mask[0].narrow(0, keys - 3, 3).zero_();
  mask[1][0] = mask[1][5] = 0;
  return {random({2, 24, 2, 3, 8}), random({2, keys, 2, 8}, 2), random({2, keys, 2, 8}, 3), mask};
}

LayerSpec of_one(const std::function<ValueId(LayerBuilder&, ValueId)>& op) {
  LayerBuilder b("layer", block_dims());
  b.output("y", op(b, b.input("x", {"batch", "seq", "hidden"})));
  return b.build();
}

}  // namespace

TEST_CASE("attention on CUDA sees the keys that it sees on the CPU") {
  for (const bool causal : {false, true}) {
    CAPTURE(causal);
    const auto layer = attention_layer(24, [&](ValueId m) { return AttentionOptions{.causal = causal, .dropout = 0.25, .mask = m}; });
    compare({.layer = layer, .inputs = inputs(24), .slack = 2});  // of the causal one the first query sees no key
  }
  const auto other = attention_layer(31, [](ValueId m) { return AttentionOptions{.mask = m, .scale = 0.7}; });
  compare({.layer = other, .inputs = inputs(31), .slack = 2});
}

TEST_CASE("attention on CUDA does not see keys that only pad a sequence") {
  compare({.layer = attention_layer(19, [](ValueId m) { return AttentionOptions{.mask = m}; }),
           .inputs = inputs(24),
           .prepare = [](OneOp& one) { one.cut("keys", 0, 24); },
           .slack = 2});
}

TEST_CASE("attention's bias by distance on CUDA is that on the CPU") {
  for (const bool causal : {false, true}) {
    CAPTURE(causal);
    const auto layer = attention_layer(24, [&](ValueId m) {
      return AttentionOptions{.causal = causal, .mask = m, .scale = 1, .buckets = "buckets", .max_distance = 16};
    });
    compare({.layer = layer, .inputs = inputs(24), .parameters = {random({8, 2, 3}, 5)}, .slack = 4});
  }
}

TEST_CASE("relu, tanh, scale, pick and a bias at some positions on CUDA are those on the CPU") {
  const Tensors x{random({2, 24, 40})};
  compare({.layer = of_one([](auto& b, auto v) { return b.relu("op", v); }), .inputs = x});
  compare({.layer = of_one([](auto& b, auto v) { return b.tanh("op", v); }), .inputs = x});
  compare({.layer = of_one([](auto& b, auto v) { return b.scale("op", v, 0.3); }), .inputs = x});
  compare({.layer = of_one([](auto& b, auto v) { return b.pick("op", v, 5); }), .inputs = x});
  compare({.layer = of_one([](auto& b, auto v) { return b.bias_at("op", v, 3, 7, Parameter::Init::zeros); }),
           .inputs = x,
           .parameters = {random({40}, 3)}});
  for (const std::int64_t begin : {0, 8, 16}) {
    const auto cut = [begin](OneOp& one) { one.cut("seq", begin, 8); };
    const Tensors piece{x[0].narrow(1, begin, 8).contiguous()};
    compare({.layer = of_one([](auto& b, auto v) { return b.pick("op", v, 9); }), .inputs = piece, .prepare = cut});
    compare({.layer = of_one([](auto& b, auto v) { return b.bias_at("op", v, 6, -1, Parameter::Init::zeros); }),
             .inputs = piece,
             .parameters = {random({40}, 3)},
             .prepare = cut});
  }
}

TEST_CASE("the loss with a bias on CUDA is that on the CPU") {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "hidden"});
  b.loss(b.cross_entropy("loss", x, b.field("labels", {"batch", "seq"}), "vocab", 27, 0.02, {}, 10, true));
  compare({.layer = b.build(),
           .inputs = {random({2, 24, 40}), at::arange(48, at::kLong).remainder(27).view({2, 24})},
           .parameters = {random({30, 40}, 2), random({30}, 3)},
           .prepare = [](OneOp& one) { one.c.loss_scale = 1.0 / 48; },
           .has_backward = false,
           .slack = 2});
}

}  // namespace trellis::test
