// Dropout, attention and rotary.
#include "unit/cuda/kernels_support.h"

namespace trellis::test {
namespace {

LayerSpec dropout_layer(double p) {
  LayerBuilder b("layer", block_dims());
  b.output("y", b.dropout("dropout", b.input("x", {"batch", "seq", "kv_heads", "queries_per_kv", "head_dim"}), p));
  return b.build();
}

TEST_CASE("dropout on CUDA is that on the CPU to the bit, whole or cut") {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16})
    for (const bool cut : {false, true}) {
      CAPTURE(name_of(dtype));
      CAPTURE(cut);
      OneOp cpu(dropout_layer(0.3), 5, dtype), gpu(dropout_layer(0.3), 5, dtype);
      for (OneOp* one : {&cpu, &gpu}) {
        one->c.samples = integers({4000000000, 17, 3, 0, 8}, {5});
        if (cut) one->cut("seq", 6, 7), one->cut("kv_heads", 1, 1), one->cut("head_dim", 2, 5);
        one->give({cut ? random({5, 7, 1, 3, 5}) : random({5, 24, 2, 3, 8})});
      }
      to_device(gpu.c.inputs);
      if (has_gpu()) gpu.c.samples = gpu.c.samples.to(device());
      cuda_kernels().find("dropout").forward(gpu.c);
      CHECK(at::equal(gpu.c.output.cpu(), cpu.forward()));
      const at::Tensor dy = random(cpu.c.output.sizes(), 5);
      cpu.backward(dy);
      gpu.c.output_gradient = gpu.cast(dy).to(device());
      cuda_kernels().find("dropout").backward(gpu.c);
      CHECK(at::equal(gpu.c.input_gradients.at(0).cpu(), cpu.c.input_gradients[0]));
    }
}

TEST_CASE("a validation pass on CUDA drops nothing") {
  OneOp gpu(dropout_layer(0.3), 2, Dtype::f32);
  gpu.give({random({2, 24, 2, 3, 8})});
  to_device(gpu.c.inputs);
  gpu.c.training = false;
  cuda_kernels().find("dropout").forward(gpu.c);
  CHECK(at::equal(gpu.c.output, gpu.c.inputs[0]));
}

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
Tensors qkv(std::int64_t s) { return {random({2, s, 2, 3, 8}), random({2, s, 2, 8}, 2), random({2, s, 2, 8}, 3)}; }

TEST_CASE("attention on CUDA is that on the CPU, with fewer key heads, causal or not") {
  for (const bool causal : {true, false})
    for (const std::int64_t s : {24, 200}) {
      CAPTURE(causal);
      CAPTURE(s);
      compare({.layer = attention_layer(s, causal, 0), .inputs = qkv(s), .slack = 2});
    }
}

TEST_CASE("attention with dropout on CUDA is that on the CPU, over all heads or the second half of them") {
  compare({.layer = attention_layer(24, true, 0.25), .inputs = qkv(24), .slack = 2});
  Tensors half = qkv(24);
  for (at::Tensor& t : half) t = t.narrow(2, 1, 1).contiguous();
  compare({.layer = attention_layer(24, false, 0.25),
           .inputs = half,
           .prepare =
               [](OneOp& one) {
                 one.cut("kv_heads", 1, 1);
                 one.c.samples = integers({70, 5}, {2});
               },
           .slack = 2});
}

TEST_CASE("attention with a window on CUDA is that on the CPU, with dropout, too") {
  for (const double dropout : {0.0, 0.25})
    compare({.layer = attention_layer(200, true, dropout, 17), .inputs = qkv(200), .slack = 2});
}

// More scores than are in memory at once: queries, heads and samples are taken in pieces.
TEST_CASE("long attention on CUDA is that on the CPU") {
  if (!goes_on_with_gpu("attention over 6000 positions")) return;
  compare({.layer = attention_layer(6000, true, 0), .inputs = qkv(6000), .dtypes = {Dtype::f32}, .slack = 10});
}

TEST_CASE("rotary on CUDA is that on the CPU, padding included") {
  LayerBuilder b("layer", block_dims());
  const ValueId x = b.input("x", {"batch", "seq", "kv_heads", "head_dim"});
  b.output("y", b.rotary("rotary", x, b.field("positions", {"batch", "seq"}), 10000));
  const at::Tensor positions = at::arange(24, at::kLong).add(500).expand({2, 24}).contiguous();
  positions[1][20] = -1;
  compare({.layer = b.build(), .inputs = {random({2, 24, 2, 8}), positions}});
}

}  // namespace
}  // namespace trellis::test
