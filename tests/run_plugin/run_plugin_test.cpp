// Ops of a user's own: contract and kernel in two libraries, and the adapter by which autograd finds gradients.
#include <ATen/ATen.h>
#include <doctest/doctest.h>

#include <fstream>

#include "run/plugin/load_kernels.h"
#include "run/verify/random_plan.h"
#include "run/verify/verify.h"
#include "support/paths.h"
#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/run/autograd_kernel.h"

namespace trellis::test {
namespace {

std::filesystem::path plugin_folder() { return testing::build_dir() / "tests/run_plugin/plugins"; }

Catalog catalog_of(const std::filesystem::path& folder) { return Catalog::of({&folder, 1}); }

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A copy of the plugin whose manifest has been changed.
Catalog changed_plugin(const std::string& from, const std::string& to) {
  const auto folder = testing::build_dir() / "tests/run_plugin/changed";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(plugin_folder(), folder, std::filesystem::copy_options::recursive);
  std::ifstream in(plugin_folder() / "soft/plugin.yaml");
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text.replace(text.find(from), from.size(), to);
  std::ofstream(folder / "soft/plugin.yaml") << text;
  return catalog_of(folder);
}

}  // namespace

TEST_CASE("a plugin's op trains like one rank under random plans") {
  const Catalog catalog = catalog_of(plugin_folder());
  const ModelSpec model = catalog.family("soft")->describe(Options::empty());
  OpLibrary ops;
  KernelLibrary kernels;
  catalog.load_ops(ops);
  load_kernels(catalog, kernels);
  Verifier verifier(model, dimensions(), kernels, ops, {});
  for (int devices : {1, 2, 4})
    for (std::uint64_t i = 0; i < 4; ++i) {
      const Plan plan = random_plan(model, dimensions(), ops, Dtype::f64, {.devices = devices}, 5, i);
      const PlanCheck check = verifier.check(plan);
      INFO(one_line(plan), "\n", check.where, " ", check.error);
      CHECK(check.worst < 1e-9);
    }
}

TEST_CASE("without its run library a plugin's op has no kernel") {
  CHECK_THROWS_WITH_AS(KernelLibrary().find("scaled_softplus"), doctest::Contains("no kernel for ops of kind 'scaled_softplus'"),
                       Error);
}

TEST_CASE("only libraries of plugins in use are loaded") {
  const Catalog catalog = catalog_of(plugin_folder());
  KernelLibrary kernels;
  load_kernels(catalog, kernels);
  CHECK_THROWS_AS(kernels.find("scaled_softplus"), Error);
}

TEST_CASE("a plan-side library is refused as a run library, and the error names both sides") {
  const Catalog catalog = changed_plugin("libsoft_run.so", "libsoft.so");
  catalog.family("soft");
  KernelLibrary kernels;
  const std::string error = error_of([&] { load_kernels(catalog, kernels); });
  INFO(error);
  CHECK(error.find("libsoft.so") != std::string::npos);
  CHECK(error.find("built for another Trellis") != std::string::npos);
}

TEST_CASE("a second kernel of one kind is refused, and the error names the plugin") {
  const Catalog catalog = catalog_of(plugin_folder());
  catalog.family("soft");
  KernelLibrary kernels;
  load_kernels(catalog, kernels);
  const std::string error = error_of([&] { load_kernels(catalog, kernels); });
  INFO(error);
  CHECK(error.find("model 'soft': its kernels failed to register: there already is a kernel for ops of kind "
                   "'scaled_softplus'") != std::string::npos);
}

TEST_CASE("autograd's gradients are those of the formula") {
  // y = x^2 w: dx = 2 x w dy, dw += x^2 dy.
  const AutogradKernel kernel([](const AutogradKernel::Call& call) { return call.inputs[0].pow(2) * call.parameters[0]; });
  KernelContext c;
  c.inputs = {at::tensor({1.0, 2.0, 3.0})};
  c.parameters = {at::tensor({5.0, 6.0, 7.0})};
  kernel.forward(c);
  CHECK(at::equal(c.output, at::tensor({5.0, 24.0, 63.0})));
  CHECK_FALSE(c.output.requires_grad());

  c.output_gradient = at::tensor({1.0, 10.0, 100.0});
  c.parameter_gradients = {at::tensor({1.0, 1.0, 1.0})};
  c.input_gradients.resize(1);
  c.wants = {true};
  kernel.backward(c);
  CHECK(at::equal(c.input_gradients[0], at::tensor({10.0, 240.0, 4200.0})));
  CHECK(at::equal(c.parameter_gradients[0], at::tensor({2.0, 41.0, 901.0})));
  CHECK_FALSE(c.input_gradients[0].requires_grad());
}

TEST_CASE("autograd leaves out what is not asked for, and what is integer") {
  const AutogradKernel kernel([](const AutogradKernel::Call& call) {
    return call.parameters[0].index_select(0, call.inputs[0]) + call.inputs[1];
  });
  KernelContext c;
  c.inputs = {at::tensor({std::int64_t{2}, std::int64_t{0}}), at::tensor({0.5, 0.5})};
  c.parameters = {at::tensor({1.0, 2.0, 3.0})};
  kernel.forward(c);
  CHECK(at::equal(c.output, at::tensor({3.5, 1.5})));
  c.output_gradient = at::tensor({7.0, 8.0});
  c.parameter_gradients = {at::tensor({0.0, 0.0, 0.0})};
  c.input_gradients.resize(2);
  c.wants = {false, false};
  kernel.backward(c);
  CHECK_FALSE(c.input_gradients[0].defined());
  CHECK_FALSE(c.input_gradients[1].defined());
  CHECK(at::equal(c.parameter_gradients[0], at::tensor({8.0, 0.0, 7.0})));
}

TEST_CASE("a contract that splits the backward of an autograd kernel is told so") {
  const AutogradKernel kernel([](const AutogradKernel::Call& call) { return call.inputs[0]; });
  KernelContext c;
  CHECK_THROWS_WITH_AS(kernel.input_gradient(c), doctest::Contains("splits_backward() must be false"), Error);
  CHECK_THROWS_AS(kernel.weight_gradient(c), Error);
}

}  // namespace trellis::test
