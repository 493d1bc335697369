#include "unit/cuda/kernels_support.h"

namespace trellis::test {
namespace {

TEST_CASE("pointwise ops on CUDA are those on the CPU") {
  for (const std::string kind : {"add", "multiply", "gelu", "tanh", "silu"}) {
    CAPTURE(kind);
    LayerBuilder b("layer", block_dims());
    const ValueId x = b.input("x", {"batch", "seq", "hidden"});
    Tensors inputs = {random({2, 24, 40}).mul(2)};
    if (kind == "add" || kind == "multiply") {
      const ValueId y = b.input("y", {"batch", "seq", "hidden"});
      inputs.push_back(random({2, 24, 40}, 2));
      b.output("z", kind == "add" ? b.add("op", x, y) : b.multiply("op", x, y));
    } else {
      b.output("z", kind == "silu" ? b.silu("op", x) : b.gelu("op", x, kind == "tanh"));
    }
    compare({.layer = b.build(), .inputs = inputs});
  }
}

LayerSpec linear_layer(bool bias) {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.linear("linear", b.input("x", {"batch", "seq", "hidden"}), {"kv_heads", "queries_per_kv", "head_dim"},
                         bias, 0.02));
  return b.build();
}

TEST_CASE("a linear on CUDA is that on the CPU, with a fused bias, adding to gradients or writing them") {
  const Tensors inputs = {random({2, 24, 40})}, weight = {random({2, 3, 8, 40}, 2)};
  const at::Tensor bias = random({2, 3, 8}, 3);
  compare({.layer = linear_layer(false), .inputs = inputs, .parameters = weight});
  compare({.layer = linear_layer(false), .inputs = inputs, .parameters = weight, .prepare = [&](OneOp& one) {
             one.c.fused_bias = one.cast(bias);
             one.c.fresh = {true};
           }});
}

TEST_CASE("a linear's bias on CUDA is that on the CPU") {
  const LayerSpec layer = linear_layer(true);
  REQUIRE(layer.ops.at(1).kind == "bias");
  compare({.layer = layer, .inputs = {random({2, 24, 2, 3, 8})}, .parameters = {random({2, 3, 8}, 2)}, .op = 1});
}

LayerSpec norm_layer(const std::string& kind) {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "hidden"});
  b.output("y", kind == "rms_norm" ? b.rms_norm("norm", x, 1e-5) : b.layer_norm("norm", x, 1e-5, kind == "biased"));
  return b.build();
}

TEST_CASE("layer norm on CUDA is that on the CPU") {
  const Tensors inputs = {random({2, 24, 40}).mul(3).add(1)};
  const at::Tensor weight = random({40}, 2), bias = random({40}, 3);
  compare({.layer = norm_layer("plain"), .inputs = inputs, .parameters = {weight}});
  compare({.layer = norm_layer("biased"), .inputs = inputs, .parameters = {weight, bias}});
}

TEST_CASE("RMS norm on CUDA is that on the CPU") {
  if (!goes_on_with_gpu("RMS norm")) return;  // LibTorch's fused backward is for CUDA only
  compare({.layer = norm_layer("rms_norm"), .inputs = {random({2, 24, 40}).mul(3)}, .parameters = {random({40}, 2)}});
}

}  // namespace
}  // namespace trellis::test
