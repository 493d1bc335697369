// Small models and hand-written plans of them, trained on thread ranks and compared with one rank.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "run/verify/random_plan.h"
#include "run/verify/verify.h"
#include "support/plugins.h"
#include "support/small_gpt.h"
#include "trellis/plan/model_family.h"

namespace trellis::test {

// Four heads, sequence, ffn and vocabulary (37, padded to 40) all divide by four.
inline const std::string kGpt2 =
    "shape: gpt2\nlayers: 3\nhidden: 16\nheads: 4\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 12\nloss_chunk: 10\n";
inline const std::string kLlama =
    "shape: llama\nlayers: 3\nhidden: 16\nheads: 4\nkv_heads: 2\nffn: 32\nvocab: 37\nvocab_multiple: 8\nsequence: 12\n"
    "loss_chunk: 10\n";

struct Trained {
  explicit Trained(const std::string& yaml, VerifyOptions verify_options = {}, const std::string& name = "gpt")
      : model(family(name)->describe(Options::from_text(yaml, "test"))), options(verify_options),
        verifier(model, dimensions(), kernels, ops, options) {}
  Trained(const Trained&) = delete;

  int layers() const { return static_cast<int>(model.layers.size()); }
  Plan plan(int devices, const std::string& all, int stages = 1, int micro_batches = 2, std::int64_t batch = 6) const {
    std::vector<int> atoms;
    for (int rest = devices / stages; rest > 1; rest /= 2) atoms.push_back(2);
    return uniform(model, atoms, strategy(all), stages, micro_batches, batch);
  }
  void check(const Plan& plan) {
    const PlanCheck found = verifier.check(plan);
    INFO(one_line(plan), "\n", found.where, " ", found.error);
    CHECK(found.worst < options.gate());
  }

  ModelSpec model;
  OpLibrary ops;
  KernelLibrary kernels;
  VerifyOptions options;
  Verifier verifier;
};

}  // namespace trellis::test
