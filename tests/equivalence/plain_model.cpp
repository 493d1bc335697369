#include "equivalence/plain_model.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "run/verify/synthetic_source.h"
#include "trellis/run/comm.h"

namespace trellis::test {

void compare_with_plain(Trained& trained, const std::function<at::Tensor(const PlainInputs&)>& plain_loss) {
  constexpr std::int64_t kBatch = 5, kStep = 4;
  const CompiledPlan compiled = trained.verifier.compiled(trained.plan(1, "{}", 1, 1, kBatch));
  const auto world = single_rank();
  Executor executor(compiled, trained.model, find_schedule(dimensions(), "1f1b"), trained.kernels, trained.ops, *world,
                    {.seed = 3});
  // Tables and matrices, initially small, are made large enough for every part of the model to matter.
  const auto specs = fields_of(trained.model, trained.ops);
  const SyntheticSource data(kBatch, specs, 9);
  for (int step = 0; step < kStep; ++step) executor.train_step(data, step, 5e-2);
  PlainInputs plain{.p = executor.parameters(), .fields = {}};
  executor.keep_gradients(true);
  const StepResult result = executor.train_step(data, kStep, 0);
  const Parameters gradients = executor.gradients();

  for (const auto& [name, spec] : specs) {
    at::Tensor field = data.field({.name = name, .step = kStep, .row_end = kBatch,
                                   .position_end = std::max<std::int64_t>(1, spec.positions),
                                   .sequence = spec.positions, .features = spec.features});
    if (spec.sequence.empty()) field = field.squeeze(1);
    plain.fields[name] = spec.range.kind == FieldKind::real ? field.to(at::kDouble) : field;
  }
  const c10::AutoGradMode with_gradients(true);
  std::vector<at::Tensor> leaves;
  for (auto& [name, tensor] : plain.p) leaves.push_back(tensor = tensor.detach().set_requires_grad(true));
  const at::Tensor loss = plain_loss(plain);
  CHECK(std::abs(result.loss / loss.item<double>() - 1) < 1e-10);

  const std::vector<at::Tensor> expected = torch::autograd::grad({loss}, leaves);
  double largest = 0;
  for (const at::Tensor& gradient : expected) largest = std::max(largest, gradient.abs().max().item<double>());
  CHECK(gradients.size() == expected.size());
  std::size_t next = 0;
  for (const auto& [name, tensor] : plain.p) {
    const at::Tensor &theirs = expected[next++], &mine = gradients.at(name);
    INFO(name);
    REQUIRE(mine.sizes() == theirs.sizes());
    CHECK((mine - theirs).abs().max().item<double>() / std::max(theirs.abs().max().item<double>(), 1e-6 * largest) < 1e-10);
  }
}

}  // namespace trellis::test
