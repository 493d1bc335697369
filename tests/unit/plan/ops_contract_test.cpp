#include <doctest/doctest.h>

#include "trellis/plan/builder.h"
#include "trellis/plan/error.h"
#include "trellis/plan/op.h"

namespace trellis {
namespace {

// One layer with every op of the core. Batch is local 2; nothing is split.
LayerSpec every_op() {
  LayerBuilder b("all", {{"batch", "batch", 0},
                         {"sequence", "sequence", 12},
                         {"keys", "sequence", 12},
                         {"hidden", "hidden", 16},
                         {"kv_heads", "heads", 2},
                         {"queries_per_kv", "heads", 2},
                         {"head_dim", "other", 4},
                         {"ffn", "ffn", 32},
                         {"vocab", "vocab", 40}});
  const auto ids = b.field("ids", {"batch", "sequence"}), labels = b.field("labels", {"batch", "sequence"});
  const auto x = b.embedding("token", ids, "vocab", std::string(kLinear), 0.02);
  const auto h = b.layer_norm("ln", x, 1e-5);
  const auto q = b.rotary("rotary", b.linear("q", h, {"kv_heads", "queries_per_kv", "head_dim"}, true, 0.02), ids, 1e4);
  const auto k = b.linear("k", h, {"kv_heads", "head_dim"}, false, 0.02);
  const auto v = b.linear("v", h, {"kv_heads", "head_dim"}, false, 0.02);
  const auto a = b.linear("out", b.attention("attention", q, k, v, {.causal = true}), {"hidden"}, false, 0.02);
  const auto y = b.rms_norm("rms", b.add("add", x, b.dropout("dropout", a, 0.1)), 1e-5);
  const auto up = b.linear("up", y, {"ffn"}, false, 0.02);
  const auto gated = b.multiply("multiply", b.gelu("gelu", up, true), b.silu("silu", up));
  b.loss(b.cross_entropy("loss", b.linear("down", gated, {"hidden"}, false, 0.02), labels, "vocab", 37, 0.02, {}, 10));
  return b.build();
}

struct Asked {
  explicit Asked(std::string name, Dtype dtype = Dtype::f32) {
    for (const Op& candidate : layer.ops)
      if (candidate.name == name) op = &candidate;
    REQUIRE(op != nullptr);
    contract = &library.find(op->kind);
    sizes = {.layer = &layer,
             .op = op,
             .size = layer.shape({0, 1, 2, 3, 4, 5, 6, 7, 8}, 2),
             .axes = {},
             .degree = {},
             .dtype = dtype};
    sizes.axes.resize(layer.dims.size());
    sizes.degree.assign(layer.dims.size(), 1);
  }
  void split(std::string_view dim, AxisList axes, int degree) {
    const auto d = static_cast<std::size_t>(&layer.dim(dim) - layer.dims.data());
    sizes.axes[d] = std::move(axes);
    sizes.degree[d] = degree;
    sizes.size[d] /= degree;
  }
  DimUse use(std::string_view dim) const {
    return contract->use(layer, *op, static_cast<DimId>(&layer.dim(dim) - layer.dims.data()));
  }
  std::vector<bool> inputs(Pass pass) const { return contract->needs(layer, *op, pass).inputs; }
  std::int64_t flops(Pass pass) const { return contract->flops(sizes, pass).value; }
  std::int64_t scratch(Pass pass) const { return contract->scratch(sizes, pass).value; }

  LayerSpec layer = every_op();
  OpLibrary library;
  const Op* op = nullptr;
  const OpContract* contract = nullptr;
  OpSizes sizes;
};

using Bools = std::vector<bool>;

}  // namespace

TEST_CASE("the library has the core's ops, and refuses a second one of a kind") {
  OpLibrary library;
  CHECK(library.kinds() == std::vector<std::string>{"add", "attention", "bias", "bias_at", "cross_entropy", "dropout",
                                                    "embedding", "gelu", "layer_norm", "linear", "multiply", "pick",
                                                    "relu", "rms_norm", "rotary", "scale", "silu", "tanh"});
  CHECK_THROWS_WITH_AS(library.find("liner"), "no op contract of kind 'liner'\n    did you mean 'linear'?", Error);
  struct Second final : OpContract {
    std::string_view kind() const override { return "linear"; }
    Needs needs(const LayerSpec&, const Op&, Pass) const override { return {}; }
  };
  CHECK_THROWS_AS(library.add(std::make_shared<Second>()), Error);
}

TEST_CASE("a linear contracts its input's features, keeps the rest, and carries partial gradients") {
  const Asked q("q"), out("out"), up("up");
  CHECK(up.use("hidden") == DimUse::contracted);
  CHECK(up.use("ffn") == DimUse::pointwise);
  CHECK(up.use("sequence") == DimUse::pointwise);
  CHECK(q.use("queries_per_kv") == DimUse::pointwise);
  CHECK(out.use("queries_per_kv") == DimUse::contracted);
  CHECK(out.use("head_dim") == DimUse::contracted);
  CHECK(up.contract->splits_backward());
  CHECK(up.contract->carries_partial());
  CHECK(up.inputs(Pass::input_gradient) == Bools{false});
  CHECK(up.inputs(Pass::weight_gradient) == Bools{true});
  CHECK(up.flops(Pass::forward) == 2 * 24 * 16 * 32);
  CHECK(up.flops(Pass::input_gradient) == 2 * 24 * 16 * 32);
  CHECK(up.flops(Pass::weight_gradient) == 2 * 24 * 16 * 32);
  CHECK(up.flops(Pass::backward) == 4 * 24 * 16 * 32);
}

TEST_CASE("a weight gradient passes through a tensor of the weight's size, but in fp64") {
  Asked f32("up");
  CHECK(f32.scratch(Pass::weight_gradient) == 0);
  f32.sizes.products_in_place = false;
  CHECK(f32.scratch(Pass::weight_gradient) == 4 * 32 * 16);
  CHECK(Asked("up", Dtype::f64).scratch(Pass::weight_gradient) == 0);
  CHECK(Asked("up", Dtype::bf16).scratch(Pass::weight_gradient) == 2 * 32 * 16);
  CHECK(Asked("up", Dtype::bf16).scratch(Pass::input_gradient) == 0);
}

TEST_CASE("floating-point operations are of the local sizes") {
  Asked up("up");
  up.split("ffn", {1}, 4);
  up.split("batch", {0}, 2);
  CHECK(up.flops(Pass::forward) == 2 * 12 * 16 * 8);
}

TEST_CASE("a norm needs all of its features, its input and its statistics") {
  const Asked ln("ln"), rms("rms");
  CHECK(ln.use("hidden") == DimUse::whole);
  CHECK(rms.use("hidden") == DimUse::whole);
  CHECK(ln.use("sequence") == DimUse::pointwise);
  CHECK(ln.inputs(Pass::backward) == Bools{true});
  CHECK(ln.contract->needs(ln.layer, *ln.op, Pass::backward).extras);
  const auto extras = ln.contract->extras(ln.layer, *ln.op);
  REQUIRE(extras.size() == 2);
  CHECK(extras[0].name == "mean");
  CHECK(extras[1].name == "rstd");
  CHECK(extras[1].dims == std::vector<DimId>{0, 1});
  CHECK(extras[1].dtype == Dtype::f32);
  CHECK(rms.contract->extras(rms.layer, *rms.op).size() == 1);
}

TEST_CASE("attention splits over batch and heads only") {
  const Asked a("attention");
  CHECK(a.use("batch") == DimUse::pointwise);
  CHECK(a.use("kv_heads") == DimUse::pointwise);
  CHECK(a.use("queries_per_kv") == DimUse::pointwise);
  CHECK(a.use("sequence") == DimUse::whole);
  CHECK(a.use("keys") == DimUse::whole);
  CHECK(a.use("head_dim") == DimUse::whole);
  CHECK_FALSE(a.contract->splits_backward());
  const Needs needs = a.contract->needs(a.layer, *a.op, Pass::backward);
  CHECK(needs.inputs == Bools{true, true, true});
  CHECK(needs.output);
  CHECK(needs.extras);
  const auto lse = a.contract->extras(a.layer, *a.op).at(0);
  CHECK(a.layer.shape(lse.dims, 2) == Shape{2, 2, 2, 12});
  CHECK(a.flops(Pass::forward) == 4 * 2 * 4 * 12 * 12 * 4 / 2);
  CHECK(a.scratch(Pass::forward) == 32 * 12 * 4);
  CHECK(a.scratch(Pass::backward) == 2 * 32 * 12 * 4);
  CHECK(Asked("attention", Dtype::bf16).scratch(Pass::backward) == (4 * 2 * 12 * 16 + 4 * 2 * 12 * 8 + 2 * 32 * 12) * 4);
  CHECK(a.flops(Pass::backward) == 10 * 2 * 4 * 12 * 12 * 4 / 2);
}

TEST_CASE("attention has scratch for each thread of a rank") {
  Asked a("attention"), mixed("attention", Dtype::bf16);
  a.sizes.threads = mixed.sizes.threads = 3;
  CHECK(a.scratch(Pass::forward) == 3 * 32 * 12 * 4);
  CHECK(a.scratch(Pass::backward) == 3 * 2 * 32 * 12 * 4);
  CHECK(mixed.scratch(Pass::backward) == (4 * 2 * 12 * 16 + 4 * 2 * 12 * 8 + 3 * 2 * 32 * 12) * 4);
  // LibTorch's fused kernel: its results, and for each thread a tile of 12 x 12 scores in fp32 and bf16, and sums.
  CHECK(mixed.scratch(Pass::forward) == (2 + 1) * 2 * 12 * 16 + 3 * (6 * 12 * 12 + 4 * 12 * (2 + 4)));
}

TEST_CASE("a window leaves attention what is in it to compute, and no more scores than a block of queries sees") {
  Asked a("attention");
  const auto set_window = [&](std::int64_t window) {
    for (Op& op : a.layer.ops)
      if (op.kind == "attention") op.attributes["window"] = window;
  };
  set_window(4);
  CHECK(a.flops(Pass::forward) == 2 * 2 * 12 * 4 * 4 * (2 * 4 - 1));
  a.sizes.size.at(1) = a.sizes.size.at(2) = 1000;  // sequence, keys
  CHECK(a.scratch(Pass::forward) == 32 * (4 + 63) * 4);
  set_window(800);
  CHECK(a.scratch(Pass::forward) == 64 * 863 * 4);
}

TEST_CASE("an embedding contracts its rows, so a split vocabulary leaves a partial output") {
  const Asked token("token");
  CHECK(token.use("vocab") == DimUse::contracted);
  CHECK(token.use("hidden") == DimUse::pointwise);
  CHECK(token.inputs(Pass::backward) == Bools{true});
  CHECK_FALSE(token.contract->passes_gradient());
}

TEST_CASE("sums and biases pass their gradient on and read nothing") {
  for (const char* name : {"add", "q.bias"}) {
    const Asked asked(name);
    CHECK(asked.contract->passes_gradient());
    CHECK(asked.inputs(Pass::weight_gradient) == Bools(asked.op->inputs.size(), false));
  }
}

TEST_CASE("pointwise ops read what their derivative takes") {
  CHECK(Asked("gelu").inputs(Pass::backward) == Bools{true});
  CHECK(Asked("silu").inputs(Pass::backward) == Bools{true});
  CHECK(Asked("multiply").inputs(Pass::backward) == Bools{true, true});
  CHECK(Asked("dropout").inputs(Pass::backward) == Bools{false});
  CHECK(Asked("rotary").inputs(Pass::backward) == Bools{false, true});
  CHECK(Asked("rotary").use("head_dim") == DimUse::whole);
  CHECK(Asked("rotary").use("kv_heads") == DimUse::pointwise);
}

TEST_CASE("the loss makes its gradients in forward, chunk by chunk") {
  Asked loss("loss");
  CHECK(loss.contract->once());
  CHECK(loss.use("vocab") == DimUse::internal);
  CHECK(loss.use("batch") == DimUse::contracted);
  CHECK(loss.use("sequence") == DimUse::contracted);
  CHECK(loss.use("hidden") == DimUse::whole);
  CHECK(loss.flops(Pass::forward) == 6 * 24 * 40 * 16);
  CHECK(loss.flops(Pass::backward) == 0);
  const auto gradient = loss.contract->extras(loss.layer, *loss.op).at(0);
  CHECK(loss.layer.shape(gradient.dims, 2) == Shape{2, 12, 16});
  CHECK(gradient.compute_dtype);
  CHECK(loss.contract->needs(loss.layer, *loss.op, Pass::backward).extras);
  CHECK(loss.scratch(Pass::forward) == 10 * 40 * 4 + 3 * 10 * 4);
  loss.sizes.products_in_place = false;
  CHECK(loss.scratch(Pass::forward) == (10 * 40 + 40 * 16 + 10 * 40) * 4 + 3 * 10 * 4);
  CHECK(Asked("loss", Dtype::bf16).scratch(Pass::forward) == (10 * 40 + 40 * 16 + 10 * 40) * 2 + 3 * 10 * 4);
  CHECK(Asked("loss", Dtype::f64).scratch(Pass::forward) == 10 * 40 * 8 + 3 * 10 * 8);
}

TEST_CASE("a split vocabulary gathers three statistics a token for each chunk") {
  Asked loss("loss");
  CHECK(loss.contract->inner_moves(loss.sizes, Pass::forward).empty());
  loss.split("vocab", {1, 2}, 4);
  const auto moves = loss.contract->inner_moves(loss.sizes, Pass::forward);
  REQUIRE(moves.size() == 2);  // 24 tokens by 10: two whole chunks and a short one
  CHECK(moves[0].kind == MoveKind::all_gather);
  CHECK(moves[0].axes == AxisList{1, 2});
  CHECK(moves[0].count == 2);
  CHECK(moves[0].bytes == Bytes(3 * 3 * 20 * 4));  // from three others
  CHECK(moves[1].count == 1);
  CHECK(moves[1].bytes == Bytes(3 * 3 * 4 * 4));
  CHECK(loss.contract->inner_moves(loss.sizes, Pass::backward).empty());
}

}  // namespace trellis
