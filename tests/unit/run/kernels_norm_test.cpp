#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

TEST_CASE("layer norm agrees with autograd, with and without a bias") {
  for (const bool bias : {true, false}) {
    CAPTURE(bias);
    LayerBuilder b("layer", block_dims());
    b.output("y", b.layer_norm("ln", b.input("x", {"batch", "seq", "hidden"}), 1e-5, bias));
    Tensors parameters = {1 + 0.3 * random({40}, 2)};
    if (bias) parameters.push_back(random({40}, 3));
    check_against_autograd(b.build(), 6, {0.5 + 2 * random({6, 24, 40})}, parameters, [&](auto& x, auto& p) {
      return at::layer_norm(x[0], {40}, p[0], bias ? p[1] : at::Tensor(), 1e-5);
    });
  }
}

TEST_CASE("rms norm agrees with autograd") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.rms_norm("norm", b.input("x", {"batch", "seq", "hidden"}), 1e-6));
  check_against_autograd(
      b.build(), 6, {0.5 + 2 * random({6, 24, 40})}, {1 + 0.3 * random({40}, 2)},
      [](auto& x, auto& p) { return x[0] * (x[0].square().mean({-1}, true) + 1e-6).rsqrt() * p[0]; });
}

TEST_CASE("layer norm's statistics are those of the rows, in the type of statistics") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.layer_norm("ln", b.input("x", {"batch", "seq", "hidden"}), 1e-5));
  OneOp one(b.build(), 2, Dtype::bf16);
  const at::Tensor x = random({2, 24, 40}).to(at::kBFloat16).to(at::kDouble);
  one.give({x}, {at::ones({40}), at::zeros({40})});
  one.forward();
  REQUIRE(one.c.extras.size() == 2);
  CHECK((one.c.extras[0].scalar_type() == at::kFloat));
  CHECK(difference(one.c.extras[0], x.mean(-1)) < 1e-6);
  CHECK(difference(one.c.extras[1], (x.var(-1, false) + 1e-5).rsqrt()) < 1e-6);
}

TEST_CASE("a norm whose input gradient is not wanted still adds its parameters' gradients") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.rms_norm("norm", b.input("x", {"batch", "seq", "hidden"}), 1e-6));
  OneOp one(b.build(), 2, Dtype::f32);
  one.give({random({2, 24, 40})}, {at::ones({40})});
  one.forward();
  one.c.wants = {false};
  one.backward(at::ones({2, 24, 40}));
  CHECK_FALSE(one.c.input_gradients[0].defined());
  CHECK((one.c.parameter_gradients[0] - 1).abs().max().item<float>() > 0.1);
}

}  // namespace
}  // namespace trellis::test
