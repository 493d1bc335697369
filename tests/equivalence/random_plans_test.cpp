// The equivalence gate in small: random per-layer plans, all dimensions mixed, against one rank.
#include <ATen/Parallel.h>

#include <cstdlib>

#include "equivalence/equivalence.h"

namespace trellis {
namespace {

struct Variant {
  const char* name;
  const char* options;
};
const Variant kVariants[] = {
    {"gpt2, tied, dropout", "shape: gpt2\nlayers: 3\nhidden: 16\nheads: 4\nkv_heads: 2\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 10\ndropout: 0.2\nattention_dropout: 0.1\nloss_chunk: 16\n"},
    {"llama, untied", "shape: llama\nlayers: 3\nhidden: 24\nheads: 6\nkv_heads: 2\nffn: 36\nvocab: 41\nvocab_multiple: 12\nsequence: 12\nloss_chunk: 7\n"},
    {"gpt2, untied, no dropout", "shape: gpt2\ntied: off\nlayers: 2\nhidden: 16\nheads: 8\nkv_heads: 4\nffn: 32\nvocab: 40\nvocab_multiple: 8\nsequence: 8\n"},
};

int plans_per_case() {
  const char* text = std::getenv("TRELLIS_RANDOM_PLANS");
  return text ? std::atoi(text) : 12;
}

void check_plans(const Variant& variant, int devices, VerifyOptions options, int plans) {
  const ModelSpec model = test::family("gpt")->describe(Options::from_text(variant.options, variant.name));
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
    for (int devices : {2, 4, 8}) check_plans(variant, devices, {.dtype = Dtype::f32}, 4);
}

TEST_CASE("random plans train like one rank over Gloo, in the memory that was predicted") {
  at::set_num_threads(1);
  for (const Variant& variant : kVariants)
    for (int devices : {2, 4}) check_plans(variant, devices, {.in_memory = false}, 2);
}

}  // namespace trellis
