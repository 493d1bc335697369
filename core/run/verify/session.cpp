#include "run/verify/session.h"

#include <fmt/format.h>
#include <set>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "plan/base/words.h"
#include "plan/plan/open_plan.h"
#include "plan/plugin/calls.h"
#include "plan/run/compile_file.h"
#include "run/kernels/matmul.h"
#include "run/plugin/load_kernels.h"
#include "run/verify/random_plan.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"
#include "trellis/plan/logging.h"
#include "trellis/run/comm.h"

namespace trellis {
namespace {

constexpr double kMemoryGate = 0.05;  // of a whole model; at test size a few temporaries are more than that

// What is wrong with options that a family made itself is its own mistake.
ModelSpec shrunk(const VerifyRequest& request) {
  const std::string& name = request.run.model.use;
  const auto family = request.catalog->family(name);
  const Options options =
      plugin::call(PluginType::models, name, [&] { return family->shrink(request.run.model.options); });
  try {
    ModelSpec model = plugin::call(PluginType::models, name, [&] { return family->describe(options); });
    options.finish();
    return model;
  } catch (const Error& error) {
    throw Error(ExitCode::plugin, fmt::format("model '{}' cannot be shrunk to test size: {}", name, error.message()),
                fmt::format("verify it as it is, with --full; {}", plugin::defect_hint(name)), error.mark());
  }
}

}  // namespace

ModelSpec with_sizes_of(const ModelSpec& model, const ModelSpec& small) {
  ModelSpec result = small;
  result.layers.clear();
  for (const auto& layer : model.layers) {
    const auto same = [&](const auto& other) { return other->type == layer->type; };
    const auto found = std::ranges::find_if(small.layers, same);
    if (found == small.layers.end())
      throw Error(ExitCode::unsupported, fmt::format("the shrunk model has no layer of type '{}'", layer->type),
                  "verify the model as it is, with --full");
    result.layers.push_back(*found);
  }
  return result;
}

namespace {

// Those that some layer has on, and pp where there are stages.
std::set<std::string> dimensions_of(const Plan& plan) {
  std::set<std::string> names;
  if (plan.stages.size() > 1) names.insert("pp");
  for (const Strategy& strategy : plan.layers)
    for (const auto& [name, setting] : strategy) names.insert(name);
  return names;
}

}  // namespace

VerifySession::VerifySession(const VerifyRequest& request, CommWorld* world)
    : request_(request), world_(world), dtype_(request.dtype.value_or(Dtype::f64)),
      dimensions_(request.catalog->dimensions()) {
  model_ = describe_model(request.run, *request.catalog);
  request.catalog->load_ops(ops_);
  load_kernels(*request.catalog, kernels_);
  ops_.set_products_in_place(kernels_.products().in_place());
  const std::string& device = request.run.devices.kind;
  if (device != "cpu") load_kernels(*request.catalog, device_kernels_.emplace(device));
  if (!request.plan_file.empty()) {
    given_ = read_plan(open_plan(request.plan_file), dimensions_, static_cast<int>(model_.layers.size()));
    given_->predicted.reset();
    compile_file(*given_, model_, dimensions_, ops_, dtype_, request.plan_file);  // what train refuses, verify refuses
    if (!request.full) model_ = with_sizes_of(model_, shrunk(request));
  } else if (!request.full) {
    model_ = shrunk(request);
  }
  options_ = {.dtype = dtype_, .seed = request.seed, .in_memory = !request.gloo && !request.full,
              .device = device, .device_kernels = device_kernels_ ? &*device_kernels_ : nullptr};
  const int ranks = std::max(request.plans > 0 ? request.ranks : 1, given_ ? given_->devices : 1);
  if (device == "cuda" && !world && ranks > 1)
    throw Error(ExitCode::unsupported, fmt::format("{} ranks on cuda need a process each, with a GPU of its own", ranks),
                "add --processes, or check plans for one rank: --ranks 1");
  verifier_ = std::make_unique<Verifier>(model_, dimensions_, kernels_, ops_, options_);
}

VerifySummary VerifySession::run() {
  if (tells()) introduce();
  const auto check = [&](const Plan& plan) { return world_ ? verifier_->check(plan, *world_) : verifier_->check(plan); };
  if (given_) judge(check(*given_), request_.plan_file.string());
  for (int i = request_.first; i < request_.first + request_.plans; ++i) {
    const Plan plan = random_plan(model_, dimensions_, ops_, dtype_, {.devices = request_.ranks}, request_.seed,
                                  static_cast<std::uint64_t>(i));
    judge(check(plan), fmt::format("plan {}", i));
  }
  if (tells()) conclude();
  return summary_;
}

void VerifySession::introduce() const {
  fmt::print("verify  {}{}, {} layers, {} parameters, {}\n", request_.full ? "" : "shrunk to ", model_.summary,
             model_.layers.size(), parameter_elements(model_), name_of(dtype_));
  if (request_.plans > 0)
    fmt::print("        {} for {}, seed {}, from number {}\n", number_of(request_.plans, "random plan"),
               number_of(request_.ranks, world_ ? "process rank" : "thread rank"), request_.seed, request_.first);
  std::fflush(stdout);
}

std::string VerifySession::fault(const PlanCheck& check) const {
  if (!check.error.empty()) return check.error;
  if (!(check.worst < options_.gate()))
    return fmt::format("relative error {:.3g} in the {} (the gate is {:g})", check.worst, check.where, options_.gate());
  // LibTorch's allocator and libraries keep buffers on a GPU that no plan knows of.
  if (request_.full && options_.device == "cpu" && !(check.memory_error < kMemoryGate))
    return fmt::format("memory differs by {:.1f} % from its prediction (the gate is {:g} %): {}",
                       100 * check.memory_error, 100 * kMemoryGate, check.memory_where);
  return {};
}

void VerifySession::judge(const PlanCheck& check, const std::string& name) {
  if (!tells()) return;
  ++summary_.plans;
  for (const std::string& dimension : dimensions_of(check.plan)) ++summary_.dimensions[dimension];
  summary_.collectives_equal = summary_.collectives_equal && check.collectives_equal;
  const auto worse = [](double mine, double worst) { return !(mine <= worst); };  // also for what is no number
  if (worse(check.worst, summary_.worst_relative_error)) {
    summary_.worst_relative_error = check.worst;
    summary_.worst_where = fmt::format("{}, {}", check.error.empty() ? check.where : "error", name);
  }
  if (worse(check.memory_error, summary_.worst_memory_error)) {
    summary_.worst_memory_error = check.memory_error;
    summary_.worst_memory_where = fmt::format("{}, {}", check.memory_where, name);
  }
  log().debug("{}: {:.2e}, memory {:.1f} %  {}", name, check.worst, 100 * check.memory_error, one_line(check.plan));
  const std::string found = fault(check);
  if (found.empty()) return;
  ++summary_.failures;
  fmt::print("{} FAILED: {}\n        {}\n", name, found, one_line(check.plan));
  std::fflush(stdout);
}

void VerifySession::conclude() const {
  const VerifySummary& s = summary_;
  fmt::print("{}, {} (the gate is {:.0e})\n", number_of(s.plans, "plan"), number_of(s.failures, "failure"), options_.gate());
  std::vector<std::string> counts;
  for (const auto& [name, count] : s.dimensions) counts.push_back(fmt::format("{} in {}", name, count));
  if (!counts.empty()) fmt::print("        on in plans: {}\n", fmt::join(counts, ", "));
  fmt::print("        worst relative error {:.2e}{}\n", s.worst_relative_error,
             s.worst_where.empty() ? "" : " (" + s.worst_where + ")");
  fmt::print("        executed collectives {} the programs'\n", s.collectives_equal ? "equal" : "DIFFER from");
  fmt::print("        worst memory error {:.1f} %{}{}\n", 100 * s.worst_memory_error, request_.full ? "" : ", not judged at test size",
             s.worst_memory_where.empty() ? "" : " (" + s.worst_memory_where + ")");
  std::fflush(stdout);
  if (!request_.json_file.empty()) write_file_atomically(request_.json_file, json());
}

std::string VerifySession::json() const {
  const VerifySummary& s = summary_;
  // JSON has no infinity: a plan that could not run has no error to tell.
  const auto number = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(); };
  nlohmann::ordered_json result;
  result["plans"] = s.plans;
  result["failures"] = s.failures;
  result["worst_relative_error"] = number(s.worst_relative_error);
  result["collectives_equal"] = s.collectives_equal;
  result["worst_memory_error"] = number(s.worst_memory_error);
  result["dimensions"] = s.dimensions;
  result["seed"] = request_.seed;
  result["first"] = request_.first;
  result["ranks"] = given_ && request_.plans == 0 ? given_->devices : request_.ranks;
  result["rank_kind"] = world_ ? "processes" : "threads";
  result["dtype"] = name_of(dtype_);
  result["full"] = request_.full;
  return result.dump(2) + "\n";
}

}  // namespace trellis
