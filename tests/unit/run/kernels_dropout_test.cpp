#include "run/kernels/philox.h"
#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

std::vector<std::uint32_t> words(Philox::Words w) { return {w.w[0], w.w[1], w.w[2], w.w[3]}; }

TEST_CASE("Philox yields the published words") {  // Random123's known answers for philox4x32, 10 rounds
  CHECK(words(Philox{0}(0, 0)) == std::vector<std::uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(Philox{~0ull}(~0ull, ~0ull)) ==
        std::vector<std::uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(Philox{0x299f31d0a4093822}(0x0370734413198a2e, 0x85a308d3243f6a88)) ==
        std::vector<std::uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("words of a run are the words of its calls, wherever it begins") {
  const Philox philox{77};
  for (const std::uint64_t first : {0ull, 3ull, 4ull, 62ull, (1ull << 34) - 6}) {
    std::vector<std::uint32_t> run(150);
    philox_words(77, 5, first, 150, run.data());
    for (std::uint64_t i = 0; i < 150; ++i) CHECK(run[i] == philox(5, (first + i) / 4).w[(first + i) % 4]);
  }
}

TEST_CASE("mixed keys differ in each coordinate") {
  CHECK(mix({1, 2, 3}) != mix({1, 3, 2}));
  CHECK(mix({1, 2, 3}) != mix({1, 2}));
  CHECK(mix({0}) != mix({0, 0}));
}

LayerSpec dropout_layer(double p) {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.dropout("dropout", b.input("x", {"batch", "seq", "kv_heads", "queries_per_kv", "head_dim"}), p));
  return b.build();
}

TEST_CASE("dropout drops the part asked for, scales the rest, and its gradient has the same mask") {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    OneOp one(dropout_layer(0.25), 40, dtype);
    one.give({at::ones({40, 24, 2, 3, 8})});
    const at::Tensor y = one.forward().to(at::kDouble);
    CHECK(y.eq(0).to(at::kDouble).mean().item<double>() == doctest::Approx(0.25).epsilon(0.02));
    CHECK(y.max().item<double>() == doctest::Approx(4.0 / 3).epsilon(0.01));
    one.backward(at::ones({40, 24, 2, 3, 8}));
    CHECK(at::equal(one.c.input_gradients[0].to(at::kDouble), y));
  }
}

TEST_CASE("dropout takes the words of its coordinates") {
  OneOp one(dropout_layer(0.5), 2, Dtype::f64);
  one.c.samples = integers({900, 17}, {2});
  one.give({at::ones({2, 24, 2, 3, 8})});
  const at::Tensor y = one.forward().view({2, 24, 48});
  const Philox philox{mix({11, 3, 2, 0})};
  for (std::int64_t position : {0, 5, 23})
    for (std::int64_t feature : {0, 1, 13, 47}) {
      const auto index = static_cast<std::uint64_t>(position * 48 + feature);
      CHECK((y[1][position][feature].item<double>() != 0) == (philox(17, index / 4).w[index % 4] >= 0x80000000u));
    }
}

TEST_CASE("the mask of a piece is the piece of the mask") {
  OneOp whole(dropout_layer(0.3), 4, Dtype::f32);
  whole.give({at::ones({4, 24, 2, 3, 8})});
  const at::Tensor mask = whole.forward();
  const auto piece = [&](std::string_view dim, std::int64_t at, std::int64_t begin, std::int64_t size) {
    OneOp one(dropout_layer(0.3), 4, Dtype::f32);
    one.cut(dim, begin, size);
    const at::Tensor expected = mask.narrow(at, begin, size).contiguous();
    one.give({at::ones(expected.sizes())});
    CHECK(at::equal(one.forward(), expected));
  };
  piece("seq", 1, 8, 16);
  piece("kv_heads", 2, 1, 1);
  piece("queries_per_kv", 3, 1, 2);
  piece("head_dim", 4, 3, 4);
  OneOp tail(dropout_layer(0.3), 2, Dtype::f32);  // samples are known by their index in the run, not by their place
  tail.c.samples = integers({2, 3}, {2});
  tail.give({at::ones({2, 24, 2, 3, 8})});
  CHECK(at::equal(tail.forward(), mask.narrow(0, 2, 2)));
}

TEST_CASE("a probability outside zero and one is refused") {
  CHECK_THROWS_AS(DropoutRule(1.5), Error);
  CHECK_THROWS_AS(DropoutRule(-0.1), Error);
  CHECK(DropoutRule(0.5).threshold == 0x80000000u);
}

}  // namespace
}  // namespace trellis::test
