// From a run file to a model and to the plan that the run follows.
#include <fmt/format.h>

#include <algorithm>

#include "plan/model/model_checks.h"
#include "plan/plan/open_plan.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/catalog.h"
#include "trellis/plan/error.h"
#include "trellis/plan/run_file.h"
#include "trellis/plan/schedule.h"

namespace trellis {
namespace {

std::vector<int> prime_factors(int n) {
  std::vector<int> factors;
  for (int p = 2; n > 1; ++p)
    for (; n % p == 0; n /= p) factors.push_back(p);
  return factors;
}

// Equal numbers of the layers between the first and the last, which join the first and the last stage: an embedding and
// a head are no layers to count. Where they do not divide, earlier stages get one more.
std::vector<StageRange> equal_stages(const Options& pp, int layers, int stages) {
  if (stages == 1) return {{0, layers - 1}};
  const int inner = layers - 2;
  if (inner < stages)
    pp.reject("degree", fmt::format("{} stages need as many layers between the first and the last; the model has {}",
                                    stages, std::max(inner, 0)));
  std::vector<StageRange> result;
  int next = 0;
  for (int stage = 0; stage < stages; ++stage) {
    const int count =
        inner / stages + (stage < inner % stages ? 1 : 0) + (stage == 0 ? 1 : 0) + (stage == stages - 1 ? 1 : 0);
    result.push_back({next, next + count - 1});
    next += count;
  }
  return result;
}

std::string read_schedule(const Options& pp, const Dimensions& dimensions, const std::string& otherwise) {
  const std::string name = pp.get("schedule", otherwise);
  std::vector<std::string> known;
  for (const auto& dimension : dimensions)
    if (const void* extension = dimension->extension(kPipelineSchedule))
      for (std::string& brought : static_cast<const PipelineSchedule*>(extension)->names())
        known.push_back(std::move(brought));
  if (pp.has("schedule") && std::find(known.begin(), known.end(), name) == known.end())
    pp.reject("schedule", fmt::format("no pipeline schedule named '{}'", name), suggestion_hint(name, known, "known"));
  return name;
}

// Why a layer cannot have its strategy on the plan's line; empty where all can.
std::string misfit(const Plan& plan, const ModelSpec& model, const Dimensions& dimensions) {
  const LayerSpec* previous = nullptr;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    if (model.layers[i].get() == previous) continue;
    previous = model.layers[i].get();
    if (const Placed placed = place(plan.layers[i], *previous, plan.line(), dimensions); !placed.placement)
      return fmt::format("layer {} ({}): {}", i, previous->type, placed.reason);
  }
  return {};
}

Plan read_plan_file(const std::filesystem::path& path, const Mark& mark, const ModelSpec& model,
                    const Dimensions& dimensions) {
  if (!mark.file.empty() && !std::filesystem::exists(path))
    throw Error(ExitCode::io, fmt::format("parallelism.plan: there is no file '{}'", path.string()),
                "make one with trellis search, or write parallelism.uniform", mark);
  return read_plan(open_plan(path), dimensions, static_cast<int>(model.layers.size()));
}

// A batch in the run file is a promise to the user; a plan for another one would break it silently.
void check_batch(const RunFile& run, const Plan& plan, const std::filesystem::path& path) {
  if (run.train.batch && *run.train.batch != plan.batch)
    throw Error(ExitCode::bad_input,
                fmt::format("train.batch: the run wants {} samples a step, the plan {} was made for {}",
                            *run.train.batch, path.string(), plan.batch),
                fmt::format("search again, or set train.batch={}", plan.batch),
                run.document.section("train").mark("batch"));
}

void check_devices(const Plan& plan, const std::filesystem::path& path, int devices) {
  if (plan.devices != devices)
    throw Error(
        ExitCode::bad_input,
        fmt::format("the plan {} is for {} devices, the run has {} ranks", path.string(), plan.devices, devices),
        fmt::format("start {} ranks (--nproc {}, or torchrun --nproc-per-node), or search a plan for {} devices",
                    plan.devices, plan.devices, devices));
}

}  // namespace

ModelSpec describe_model(const RunFile& run, const Catalog& catalog) {
  const Options& options = run.model.options;
  const std::string& name = run.model.use;
  const auto family = catalog.family(name, options.mark("use"), options.path("use"));
  const Options own = options.with_owner(fmt::format("model '{}'", name));
  ModelSpec model;
  std::string problem;
  try {
    plugin::call(PluginType::models, name, [&] {
      model = family->describe(own);
      problem = checks::chain_problem(model);
      if (problem.empty()) problem = checks::sharing_problem(model);
      if (problem.empty()) problem = checks::size_problem(model);
    });
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input || !error.mark().file.empty()) throw;
    // Of a layer, not of an option: the family has let an option pass, or declares the layer wrongly.
    throw Error(error.code(), fmt::format("model '{}': {}", name, error.message()),
                error.hint().empty() ? "look at the options of section 'model'; where they are right, " + plugin::defect_hint(name)
                                             : error.hint(), options.mark());
  }
  options.finish();
  if (!problem.empty())
    throw Error(ExitCode::plugin, fmt::format("model '{}' cannot be trained: {}", name, problem),
                plugin::defect_hint(name));
  return model;
}

int devices_of_plan(const std::filesystem::path& plan_file) {
  const Options options = open_plan(plan_file);
  const Options global = options.section("global");
  const int devices = global.required<int>("devices");
  if (devices < 1) global.reject("devices", fmt::format("expected at least 1, found {}", devices));
  return devices;
}

int layers_of_plan(const std::filesystem::path& plan_file) {
  const Options plan = open_plan(plan_file);
  std::int64_t layers = 1;
  for (const Options& entry : plan.list("layers"))
    for (const std::string& text : entry.get("layers", std::vector<std::string>{})) {
      try {
        layers = std::max(layers, parse_range(text).second + 1);
      } catch (const Error& error) {
        entry.reject("layers", error.message(), error.hint());
      }
    }
  return static_cast<int>(std::min<std::int64_t>(layers, 1'000'000));
}

Plan uniform_plan(const Options& uniform, const ModelSpec& model, const Dimensions& dimensions, int devices,
                  std::int64_t batch) {
  Plan plan;
  plan.batch = batch;
  plan.devices = devices;
  plan.made_by = {{"uniform", "written in the run file"}};
  plan.micro_batches = uniform.get("micro_batches", 1);
  if (plan.micro_batches < 1 || plan.micro_batches > batch)
    uniform.reject("micro_batches", fmt::format("expected 1 to {}, as many as a batch has samples; found {}", batch,
                                                plan.micro_batches));
  const Options pp = uniform.section("pp").with_owner("parallelism 'pp'");
  const int stages = pp.get("degree", 1);
  plan.schedule = read_schedule(pp, dimensions, plan.schedule);
  pp.finish();
  if (stages < 1) pp.reject("degree", fmt::format("expected at least 1, found {}", stages));
  if (devices % stages != 0)
    pp.reject("degree", fmt::format("{} stages do not divide {} devices", stages, devices),
              fmt::format("run on a multiple of {} devices (--nproc), or change the degree", stages));
  plan.stages = equal_stages(pp, static_cast<int>(model.layers.size()), stages);

  const Strategy strategy = read_strategy(uniform, dimensions, {"pp", "micro_batches"});
  plan.layers.assign(model.layers.size(), strategy);
  // A degree claims the innermost devices, so the order of the factors matters: tp 3 on 6 devices is [2, 3].
  plan.atoms = prime_factors(devices / stages);
  std::string reason;
  do {
    const std::string found = misfit(plan, model, dimensions);
    if (found.empty()) return plan;
    if (reason.empty()) reason = found;
  } while (std::next_permutation(plan.atoms.begin(), plan.atoms.end()));
  uniform.reject({}, fmt::format("does not fit on {} devices: {}", devices, reason),
                 "change the strategy, or the number of ranks (--nproc)");
}

Plan plan_of(const RunFile& run, const ModelSpec& model, const Dimensions& dimensions, int devices,
             const std::filesystem::path& plan_file) {
  const bool given = !plan_file.empty();
  if (given || !run.parallelism.plan.empty()) {
    const std::filesystem::path& path = given ? plan_file : run.parallelism.plan;
    const Plan plan = read_plan_file(path, given ? Mark{} : run.parallelism.plan_mark, model, dimensions);
    check_batch(run, plan, path);
    check_devices(plan, path, devices);
    return plan;
  }
  if (!run.train.batch)
    run.document.section("train").reject("batch", "required, and not given", "samples of a step, over all devices");
  return uniform_plan(run.parallelism.uniform, model, dimensions, devices, *run.train.batch);
}

}  // namespace trellis
