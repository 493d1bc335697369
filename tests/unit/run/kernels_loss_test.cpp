#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec loss_layer(std::int64_t real_vocab) {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "hidden"});
  b.loss(b.cross_entropy("loss", x, b.field("labels", {"batch", "seq"}), "vocab", real_vocab, 0.02));
  LayerSpec layer = b.build();
  layer.ops.at(0).attributes["chunk"] = std::int64_t{10};  // 48 tokens: four whole chunks and one of eight
  return layer;
}

struct Expected {
  at::Tensor loss, dx, dw;
};

Expected plain_loss(const at::Tensor& x_in, const at::Tensor& w_in, const at::Tensor& labels, std::int64_t real_vocab,
                    double scale) {
  const at::Tensor x = x_in.clone().requires_grad_(), w = w_in.clone().requires_grad_();
  const at::Tensor logits = at::linear(x.view({-1, x.size(-1)}), w.narrow(0, 0, real_vocab));
  const at::Tensor loss = at::cross_entropy_loss(logits, labels.view({-1}), {}, at::Reduction::Sum, -100) * scale;
  loss.backward();
  return {loss.detach(), x.grad(), w.grad()};
}

at::Tensor some_labels() {
  const at::Tensor labels = at::arange(48, at::kLong).mul(7).remainder(27).view({2, 24});
  labels[0][3] = labels[1][0] = -100;
  return labels;
}

TEST_CASE("the loss and both gradients agree with autograd, with padded vocabulary and labels that do not count") {
  const at::Tensor x = random({2, 24, 40}), w = random({30, 40}, 2), labels = some_labels();
  const Expected expected = plain_loss(x, w, labels, 27, 1.0 / 46);
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    CAPTURE(name_of(dtype));
    OneOp one(loss_layer(27), 2, dtype);
    one.give({x, labels}, {w});
    one.c.loss_scale = 1.0 / 46;
    CHECK(difference(one.forward(), expected.loss) < tolerance(dtype));
    CHECK(one.c.output.dim() == 0);
    CHECK(difference(one.c.extras[0], expected.dx) < tolerance(dtype));
    CHECK(difference(one.c.parameter_gradients[0] - 1, expected.dw) < 4 * tolerance(dtype));
  }
}

TEST_CASE("a validation pass computes the loss alone") {
  const at::Tensor x = random({2, 24, 40}), w = random({30, 40}, 2);
  OneOp one(loss_layer(27), 2, Dtype::f64);
  one.give({x, some_labels()}, {w});
  one.c.parameter_gradients.clear();
  CHECK(difference(one.forward(), plain_loss(x, w, some_labels(), 27, 1).loss) < 1e-12);
  CHECK(one.c.extras.empty());
  // The likeliest of the labels that exist, not of the padding.
  const at::Tensor likeliest = at::linear(x, w.narrow(0, 0, 27)).argmax(-1), labels = likeliest.clone();
  labels.narrow(1, 0, 9).add_(1).remainder_(27);
  labels.narrow(1, 9, 2).fill_(-100);
  one.give({x, labels}, {w});
  one.c.parameter_gradients.clear();
  one.forward();
  CHECK(one.c.right == 2 * (24 - 9 - 2));
}

TEST_CASE("a label beyond the vocabulary is refused") {
  OneOp one(loss_layer(27), 2, Dtype::f32);
  one.give({random({2, 24, 40}), at::full({2, 24}, 28, at::kLong)}, {random({30, 40})});
  CHECK_THROWS_WITH_AS(one.forward(), doctest::Contains("label 28 is not below the vocabulary of 27"), Error);
}

LayerSpec embedding_layer(std::int64_t untrained = -1) {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.embedding("table", b.field("ids", {"batch", "seq"}), "vocab", std::string(kLinear), 0.02, {}, untrained));
  return b.build();
}

TEST_CASE("an embedding agrees with autograd, with repeated ids") {
  const at::Tensor ids = at::arange(48, at::kLong).remainder(19).view({2, 24});
  check_against_autograd(embedding_layer(), 2, {ids}, {random({30, 40})},
                         [&](auto&, auto& p) { return p[0].index({ids}); });
}

TEST_CASE("look-ups of the row that is left untrained give it no gradient, wherever its table is cut") {
  const at::Tensor ids = at::arange(48, at::kLong).remainder(19).view({2, 24}), table = random({30, 40});
  const at::Tensor trained = ids.ne(12).to(at::kDouble).unsqueeze(-1);
  check_against_autograd(embedding_layer(12), 2, {ids}, {table}, [&](auto&, auto& p) {
    const at::Tensor rows = p[0].index({ids});
    return rows * trained + rows.detach() * (1 - trained);
  });
  OneOp piece(embedding_layer(12), 2, Dtype::f64);
  piece.cut("vocab", 10, 10);
  piece.give({ids}, {table.narrow(0, 10, 10).contiguous()});
  piece.forward();
  piece.backward(at::ones({2, 24, 40}));
  const at::Tensor counts = piece.c.parameter_gradients[0].select(1, 0) - 1;
  CHECK(counts[2].item<double>() == 0);
  CHECK(counts[3].item<double>() == (ids == 13).sum().item<double>());
}

TEST_CASE("pieces of a split table add up to the whole, and negative ids give zero rows") {
  const at::Tensor ids = at::arange(48, at::kLong).remainder(30).view({2, 24}), table = random({30, 40});
  ids[0][5] = -1;
  at::Tensor sum = at::zeros({2, 24, 40}, at::kDouble), expected = table.index({ids.clamp_min(0)});
  expected[0][5].zero_();
  for (const std::int64_t begin : {0, 10, 20}) {
    OneOp one(embedding_layer(), 2, Dtype::f64);
    one.cut("vocab", begin, 10);
    one.give({ids}, {table.narrow(0, begin, 10).contiguous()});
    sum += one.forward();
    one.backward(at::ones({2, 24, 40}));
    const at::Tensor counts = one.c.parameter_gradients[0].select(1, 0) - 1;
    for (std::int64_t row = 0; row < 10; ++row)
      CHECK(counts[row].item<double>() == (ids == begin + row).sum().item<double>());
  }
  CHECK(at::equal(sum, expected));
}

TEST_CASE("an id beyond the table is refused") {
  OneOp one(embedding_layer(), 2, Dtype::f32);
  one.give({at::full({2, 24}, 30, at::kLong)}, {random({30, 40})});
  CHECK_THROWS_WITH_AS(one.forward(), doctest::Contains("id 30 is not below the table's 30 rows"), Error);
}

}  // namespace
}  // namespace trellis::test
