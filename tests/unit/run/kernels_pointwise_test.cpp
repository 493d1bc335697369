#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec of_one(const std::function<ValueId(LayerBuilder&, ValueId)>& op) {
  LayerBuilder b("layer", block_dims());
  b.output("y", op(b, b.input("x", {"batch", "seq", "hidden"})));
  return b.build();
}

LayerSpec of_two(const std::function<ValueId(LayerBuilder&, ValueId, ValueId)>& op) {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "hidden"}), z = b.input("z", {"batch", "seq", "hidden"});
  b.output("y", op(b, x, z));
  return b.build();
}

TEST_CASE("gelu in its tanh form agrees with autograd") {
  const auto layer = of_one([](auto& b, auto x) { return b.gelu("gelu", x, true); });
  check_against_autograd(layer, 2, {3 * random({2, 24, 40})}, {},
                         [](auto& x, auto&) { return at::gelu(x[0], "tanh"); });
}

TEST_CASE("gelu in its erf form agrees with autograd") {
  const auto layer = of_one([](auto& b, auto x) { return b.gelu("gelu", x, false); });
  check_against_autograd(layer, 2, {3 * random({2, 24, 40})}, {},
                         [](auto& x, auto&) { return at::gelu(x[0], "none"); });
}

TEST_CASE("gelu keeps its relative precision in both tails") {
  const auto layer = of_one([](auto& b, auto x) { return b.gelu("gelu", x, true); });
  const at::Tensor x =
      at::tensor({-4.0, -2.5, -1.0, -1e-3, 0.0, 1e-3, 1.0, 2.5, 4.0, 60.0, -60.0}, at::kDouble).to(at::kFloat);
  OneOp one(layer, 1, Dtype::f32);
  one.give({x});
  const at::Tensor expected = at::gelu(x.to(at::kDouble), "tanh"), y = one.forward().to(at::kDouble);
  CHECK(((y - expected).abs() / (expected.abs() + 1e-30)).max().item<double>() < 2e-6);
  CHECK(y[9].item<double>() == 60.0);
  CHECK(std::abs(y[10].item<double>()) < 1e-30);
}

TEST_CASE("silu agrees with autograd") {
  const auto layer = of_one([](auto& b, auto x) { return b.silu("silu", x); });
  check_against_autograd(layer, 2, {4 * random({2, 24, 40})}, {}, [](auto& x, auto&) { return at::silu(x[0]); });
}

TEST_CASE("multiply agrees with autograd") {
  const auto layer = of_two([](auto& b, auto x, auto z) { return b.multiply("multiply", x, z); });
  check_against_autograd(layer, 2, {random({2, 24, 40}), random({2, 24, 40}, 8)}, {},
                         [](auto& x, auto&) { return x[0] * x[1]; });
}

TEST_CASE("add agrees with autograd, and passes its gradient on without a copy") {
  const auto layer = of_two([](auto& b, auto x, auto z) { return b.add("add", x, z); });
  check_against_autograd(layer, 2, {random({2, 24, 40}), random({2, 24, 40}, 8)}, {},
                         [](auto& x, auto&) { return x[0] + x[1]; });
}

TEST_CASE("a bias is added to each row, and its gradient is the sum of the rows") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.linear("up", b.input("x", {"batch", "seq", "hidden"}), {"kv_heads", "head_dim"}, true, 0.02));
  LayerSpec layer = b.build();
  layer.ops.erase(layer.ops.begin());
  check_against_autograd(layer, 2, {random({2, 24, 2, 8})}, {random({2, 8}, 3)},
                         [](auto& x, auto& p) { return x[0] + p[0]; });
}

TEST_CASE("an element-wise kernel writes into the output that it was given") {
  OneOp one(of_one([](auto& b, auto x) { return b.silu("silu", x); }), 2, Dtype::f32);
  one.give({random({2, 24, 40})});
  const at::Tensor slot = one.c.output = at::zeros({2, 24, 40}, at::kFloat);
  one.forward();
  CHECK(one.c.output.is_same(slot));
  CHECK(slot.abs().sum().item<float>() > 0);
}

TEST_CASE("bf16 rounds to the nearest, ties to even, and keeps NaN") {
  Bf16 to;
  store(to, 1.0f);
  CHECK(to.bits == 0x3f80);
  store(to, std::bit_cast<float>(0x3f808000u));
  CHECK(to.bits == 0x3f80);
  store(to, std::bit_cast<float>(0x3f818000u));
  CHECK(to.bits == 0x3f82);
  store(to, std::bit_cast<float>(0x7f800001u));
  CHECK(to.bits == 0x7fc0);
  store(to, std::bit_cast<float>(0x7f800000u));
  CHECK(to.bits == 0x7f80);
}

}  // namespace
}  // namespace trellis::test
