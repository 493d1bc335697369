// The equivalence gate in small: random per-layer plans, all dimensions mixed, against one rank.
#include <ATen/Parallel.h>

#include <cstdlib>

#include "equivalence/equivalence.h"

namespace trellis {
namespace {

struct Variant {
  const char* name;
  const char* options;
  const char* family = "gpt";
  bool smooth = true;  // false: a relu, which float32's rounding turns on or off where its input is next to zero
};
const Variant kVariants[] = {
    {"gpt2, tied, dropout", "shape: gpt2\nlayers: 3\nhidden: 16\nheads: 4\nkv_heads: 2\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 10\ndropout: 0.2\nattention_dropout: 0.1\nloss_chunk: 16\n"},
    {"llama, untied", "shape: llama\nlayers: 3\nhidden: 24\nheads: 6\nkv_heads: 2\nffn: 36\nvocab: 41\nvocab_multiple: 12\nsequence: 12\nloss_chunk: 7\n"},
    {"gpt2, untied, no dropout", "shape: gpt2\ntied: off\nlayers: 2\nhidden: 16\nheads: 8\nkv_heads: 4\nffn: 32\nvocab: 40\nvocab_multiple: 8\nsequence: 8\n"},
    {"masked tokens, dropout, padding", "layers: 3\nhidden: 16\nheads: 4\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 10\ndropout: 0.2\nattention_dropout: 0.1\nloss_chunk: 7\n", "bert"},
    {"two terms of the loss", "task: pretraining\nlayers: 2\nhidden: 24\nheads: 6\nffn: 36\nvocab: 41\nvocab_multiple: 12\nsequence: 12\ndropout: 0.1\n", "bert"},
    {"17 tokens", "image_size: 8\npatch_size: 2\nlayers: 3\nhidden: 16\nheads: 4\nffn: 32\nclasses: 10\nclass_multiple: 4\ndropout: 0.1\nattention_dropout: 0.1\n", "vit"},
    {"encoder and decoder", "layers: 2\ndecoder_layers: 3\nhidden: 16\nheads: 4\nhead_dim: 6\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 10\ntarget: 7\nbuckets: 8\nmax_distance: 10\ndropout: 0.1\nloss_chunk: 7\n", "t5", false},
    {"gated, untied", "activation: gated_gelu\ntied: off\nlayers: 3\ndecoder_layers: 1\nhidden: 24\nheads: 6\nhead_dim: 4\nffn: 36\nvocab: 41\nvocab_multiple: 12\nsequence: 9\ntarget: 12\nbuckets: 8\nmax_distance: 6\n", "t5"},
    {"10 tokens, no bias", "image_size: 6\npatch_size: 2\nchannels: 1\nqkv_bias: off\nlayers: 2\nhidden: 24\nheads: 6\nffn: 36\nclasses: 12\nclass_multiple: 12\n", "vit"},
};

int plans_per_case() {
  const char* text = std::getenv("TRELLIS_RANDOM_PLANS");
  return text ? std::atoi(text) : 12;
}

void check_plans(const Variant& variant, int devices, VerifyOptions options, int plans) {
  const ModelSpec model = test::family(variant.family)->describe(Options::from_text(variant.options, variant.name));
  const OpLibrary ops;
  const KernelLibrary kernels;
  Verifier verifier(model, test::dimensions(), kernels, ops, options);
  for (int i = 0; i < plans; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const Plan plan = random_plan(model, test::dimensions(), ops, options.dtype, {.devices = devices}, 17, index);
    const PlanCheck check = verifier.check(plan);
    INFO(variant.name, ", seed 17, plan ", i, ": ", one_line(plan), "\n", check.where, " ", check.error);
    CHECK(check.worst < options.gate());
    if (!options.in_memory) CHECK(check.memory_error < 0.05);  // memory as a transport holds copies of its own
  }
}

}  // namespace

TEST_CASE("random plans train like one rank, to 1e-9 in float64") {
  at::set_num_threads(1);
  for (const Variant& variant : kVariants)
    for (int devices : {1, 2, 3, 4, 6, 8}) check_plans(variant, devices, {.dtype = Dtype::f64}, plans_per_case());
}

TEST_CASE("random plans train like one rank, to 1e-4 in float32") {
  at::set_num_threads(1);
  for (const Variant& variant : kVariants)
    for (int devices : {2, 4, 8})
      if (variant.smooth) check_plans(variant, devices, {.dtype = Dtype::f32}, 4);
}

TEST_CASE("random plans train like one rank over Gloo, in the memory that was predicted") {
  at::set_num_threads(1);
  for (const Variant& variant : kVariants)
    for (int devices : {2, 4}) check_plans(variant, devices, {.in_memory = false}, 2);
}

}  // namespace trellis
