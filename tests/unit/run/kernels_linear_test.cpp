#include <algorithm>

#include "run/kernels/matmul.h"
#include "trellis/plan/error.h"
#include "unit/run/kernels_support.h"

namespace trellis::test {
namespace {

TEST_CASE("a linear into heads agrees with autograd") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.linear("q", b.input("x", {"batch", "seq", "hidden"}), {"kv_heads", "queries_per_kv", "head_dim"},
                         false, 0.02));
  check_against_autograd(b.build(), 2, {random({2, 24, 40})}, {random({2, 3, 8, 40}, 4)}, [](auto& x, auto& p) {
    return at::linear(x[0], p[0].view({48, 40})).view({2, 24, 2, 3, 8});
  });
}

TEST_CASE("a linear out of heads agrees with autograd") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.linear("out", b.input("x", {"batch", "seq", "kv_heads", "head_dim"}), {"hidden"}, false, 0.02));
  check_against_autograd(b.build(), 2, {random({2, 24, 2, 8})}, {random({40, 2, 8}, 4)}, [](auto& x, auto& p) {
    return at::linear(x[0].reshape({2, 24, 16}), p[0].view({40, 16}));
  });
}

TEST_CASE("a fused bias is the bias op's sum") {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.linear("up", b.input("x", {"batch", "seq", "hidden"}), {"kv_heads", "head_dim"}, false, 0.02));
  const at::Tensor x = random({2, 24, 40}), w = random({2, 8, 40}, 4), bias = random({2, 8}, 5);
  const at::Tensor expected = at::linear(x, w.view({16, 40}), bias.view({16})).view({2, 24, 2, 8});
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    OneOp one(b.build(), 2, dtype);
    one.give({x}, {w});
    one.c.fused_bias = one.cast(bias);
    CHECK(difference(one.forward(), expected) < tolerance(dtype));
  }
}

TEST_CASE("every choice of a product computes the same product") {
  for (const std::string type : {"f32", "bf16"}) {
    const auto dtype = type == "f32" ? at::kFloat : at::kBFloat16;
    const at::Tensor x = random({96, 64}).to(dtype), w = random({48, 64}, 2).to(dtype),
                     dy = random({96, 48}, 3).to(dtype);
    const at::Tensor bias = random({48}, 4).to(dtype);
    const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
    for (const std::string choice : {"aten", "onednn", "mkl_accumulate"}) {
      CAPTURE(type);
      CAPTURE(choice);
      Products products;
      const double limit = type == "f32" ? 1e-5 : 1e-2;
      if (choice != "mkl_accumulate") {
        products.preset({"forward " + type + " 96 64 48 " + choice, "input_gradient " + type + " 96 64 48 " + choice});
        const at::Tensor slot = at::empty({96, 48}, dtype);
        CHECK(products.forward(x, w, bias, slot).is_same(slot));
        CHECK(difference(slot, at::linear(wide(x), wide(w), wide(bias))) < limit);
        CHECK(difference(products.forward(x, w, {}, {}), at::linear(wide(x), wide(w))) < limit);
        CHECK(difference(products.input_gradient(dy, w, {}), at::mm(wide(dy), wide(w))) < limit);
      } else if (type == "f32") {
        continue;
      }
      try {
        products.preset({"weight_gradient " + type + (type == "f32" ? " 0 0 0 " : " 96 64 48 ") + choice});
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::unsupported);  // a LibTorch without MKL
        continue;
      }
      const at::Tensor dw = at::ones({48, 64}, at::kFloat);
      products.weight_gradient(dw, dy, x);
      CHECK(difference(dw - 1, at::mm(wide(dy).t(), wide(x))) < limit);
    }
  }
}

TEST_CASE("choices of products are measured once, exported as text and read back") {
  Products measured;
  const at::Tensor x = at::ones({32, 16}), w = at::ones({8, 16}), dw = at::zeros({8, 16});
  measured.forward(x, w, {}, {});
  measured.weight_gradient(dw, at::ones({32, 8}), x);
  CHECK(dw.eq(32).all().item<bool>());  // the measurement itself added nothing
  const auto lines = measured.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("forward f32 32 16 8 "));
  CHECK(lines[1].starts_with("weight_gradient f32 0 0 0 "));  // one answer for all shapes
  CHECK(measured.in_place() == lines[1].ends_with(" aten"));
  Products preset;
  preset.preset(lines);
  CHECK(preset.lines() == lines);
}

TEST_CASE("products in f64 always take LibTorch's default") {
  Products products;
  products.forward(at::ones({32, 16}, at::kDouble), at::ones({8, 16}, at::kDouble), {}, {});
  CHECK(products.lines() == std::vector<std::string>{"forward f64 32 16 8 aten"});
}

TEST_CASE("a line that is no choice of a product is refused") {
  Products products;
  CHECK_THROWS_WITH_AS(products.preset({"forward f32 32 16 onednn"}), doctest::Contains("expected '<forward|"), Error);
  CHECK_THROWS_WITH_AS(products.preset({"forward f64 32 16 8 onednn"}), doctest::Contains("does not compute"), Error);
  CHECK_THROWS_WITH_AS(products.preset({"forward f32 32 16 8 mkl_accumulate"}), doctest::Contains("does not compute"),
                       Error);
  CHECK(products.lines().empty());
}

TEST_CASE("an unknown kind of op is named, with a suggestion") {
  CHECK_THROWS_WITH_AS(OneOp::library().find("liner"), doctest::Contains("did you mean 'linear'?"), Error);
}

TEST_CASE("this machine multiplies matrices at all") { CHECK(product_gflops() > 0.1); }

}  // namespace
}  // namespace trellis::test
