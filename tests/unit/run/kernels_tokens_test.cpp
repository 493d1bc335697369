// Ops on single tokens of a sequence, and activations that look at their output.
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec of_one(const std::function<ValueId(LayerBuilder&, ValueId)>& op) {
  LayerBuilder b("layer", block_dims());
  b.output("y", op(b, b.input("x", {"batch", "seq", "hidden"})));
  return b.build();
}

TEST_CASE("relu, tanh and scale agree with autograd") {
  const Tensors x{2 * random({2, 24, 40})};
  check_against_autograd(of_one([](auto& b, auto v) { return b.relu("op", v); }), 2, x, {},
                         [](auto& in, auto&) { return at::relu(in[0]); });
  check_against_autograd(of_one([](auto& b, auto v) { return b.tanh("op", v); }), 2, x, {},
                         [](auto& in, auto&) { return at::tanh(in[0]); });
  check_against_autograd(of_one([](auto& b, auto v) { return b.scale("op", v, 0.3); }), 2, x, {},
                         [](auto& in, auto&) { return in[0] * 0.3; });
}

TEST_CASE("pick takes one token, and its gradient is zero for all others") {
  check_against_autograd(of_one([](auto& b, auto v) { return b.pick("op", v, 5); }), 2, {random({2, 24, 40})}, {},
                         [](auto& in, auto&) { return in[0].select(1, 5); });
}

TEST_CASE("pick gives zero where the token is elsewhere") {
  const at::Tensor x = random({2, 24, 40}), dy = random({2, 40}, 3);
  for (const std::int64_t begin : {0, 8, 16}) {
    OneOp one(of_one([](auto& b, auto v) { return b.pick("op", v, 9); }), 2, Dtype::f64);
    one.cut("seq", begin, 8);
    one.give({x.narrow(1, begin, 8).contiguous()});
    const bool here = begin == 8;
    CHECK(difference(one.forward(), here ? x.select(1, 9) : at::zeros({2, 40}, at::kDouble)) == 0);
    one.backward(dy);
    CHECK(one.c.input_gradients[0].sizes() == at::IntArrayRef({2, 8, 40}));
    CHECK(one.c.input_gradients[0].abs().sum().item<double>() == (here ? dy.abs().sum().item<double>() : 0));
  }
}

TEST_CASE("a bias at some positions leaves the others alone") {
  const auto layer = of_one([](auto& b, auto v) { return b.bias_at("op", v, 3, 7, Parameter::Init::zeros); });
  check_against_autograd(layer, 2, {random({2, 24, 40})}, {random({40}, 3)}, [](auto& in, auto& p) {
    const at::Tensor here = at::arange(24, at::kLong);
    return in[0] + here.ge(3).logical_and(here.lt(7)).to(at::kDouble).view({24, 1}) * p[0];
  });
}

TEST_CASE("a bias at some positions is added by the ranks that hold them") {
  const at::Tensor x = random({2, 24, 40}), bias = random({40}, 3);
  at::Tensor gradient = at::zeros({40}, at::kDouble);
  for (const std::int64_t begin : {0, 8, 16}) {
    OneOp one(of_one([](auto& b, auto v) { return b.bias_at("op", v, 6, -1, Parameter::Init::zeros); }), 2, Dtype::f64);
    one.cut("seq", begin, 8);
    one.give({x.narrow(1, begin, 8).contiguous()}, {bias});
    at::Tensor expected = x.narrow(1, begin, 8).clone();
    const std::int64_t first = std::max<std::int64_t>(0, 6 - begin);
    expected.narrow(1, first, 8 - first).add_(bias);
    CHECK(difference(one.forward(), expected) < 1e-14);
    one.backward(x.narrow(1, begin, 8).contiguous());
    gradient += one.c.parameter_gradients[0] - 1;
  }
  CHECK(difference(gradient, x.narrow(1, 6, 18).sum(at::IntArrayRef{0, 1})) < 1e-13);
}

TEST_CASE("the loss with a bias of its own has the bias's gradient") {
  LayerBuilder b("layer", block_dims());
  const ValueId hidden = b.input("x", {"batch", "seq", "hidden"});
  b.loss(b.cross_entropy("loss", hidden, b.field("labels", {"batch", "seq"}), "vocab", 27, 0.02, {}, 10, true));
  const at::Tensor x = random({2, 24, 40}), w = random({30, 40}, 2), bias = random({30}, 3);
  const at::Tensor labels = at::arange(48, at::kLong).remainder(27).view({2, 24});
  const at::Tensor leaf_w = w.clone().requires_grad_(), leaf_b = bias.clone().requires_grad_();
  const at::Tensor logits = at::linear(x.view({48, 40}), leaf_w.narrow(0, 0, 27), leaf_b.narrow(0, 0, 27));
  const at::Tensor loss = at::cross_entropy_loss(logits, labels.view({48}), {}, at::Reduction::Sum, -100) / 48;
  loss.backward();
  const LayerSpec layer = b.build();
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    CAPTURE(name_of(dtype));
    OneOp one(layer, 2, dtype);
    one.c.loss_scale = 1.0 / 48;
    one.give({x, labels}, {w, bias});
    CHECK(difference(one.forward(), loss.detach()) < tolerance(dtype));
    CHECK(difference(one.c.parameter_gradients[0] - 1, leaf_w.grad()) < 4 * tolerance(dtype));
    CHECK(difference(one.c.parameter_gradients[1] - 1, leaf_b.grad()) < 4 * tolerance(dtype));
  }
}

TEST_CASE("the loss of samples, not of tokens, has labels of one dim") {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.pick("first", b.input("x", {"batch", "seq", "hidden"}), 0);
  b.loss(b.cross_entropy("loss", x, b.field("labels", {"batch"}), "vocab", 30, 0.02));
  OneOp one(b.build(), 4, Dtype::f64, 1);
  const at::Tensor in = random({4, 40}), w = random({30, 40}, 2), labels = integers({3, -1, 7, 29}, {4});
  one.c.loss_scale = 1.0 / 3;
  one.give({in, labels}, {w});
  const at::Tensor expected = at::cross_entropy_loss(at::linear(in, w), labels, {}, at::Reduction::Sum, -1) / 3;
  CHECK(difference(one.forward(), expected) < 1e-12);
}

}  // namespace
}  // namespace trellis::test
