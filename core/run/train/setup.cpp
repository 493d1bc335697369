#include "run/train/setup.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "plan/weights/import.h"
#include "run/kernels/matmul.h"
#include "run/plugin/load_kernels.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis::train {
namespace {

const PipelineSchedule& schedule_of(const Dimensions& dimensions, const std::string& name) {
  for (const auto& dimension : dimensions) {
    const void* extension = dimension->extension(kPipelineSchedule);
    if (!extension) continue;
    const auto* schedule = static_cast<const PipelineSchedule*>(extension);
    const std::vector<std::string> names = schedule->names();
    if (std::find(names.begin(), names.end(), name) != names.end()) return *schedule;
  }
  throw Error(ExitCode::plugin, fmt::format("no parallelism plugin brings the pipeline schedule '{}'", name),
              "the plugin pp brings gpipe and 1f1b; see trellis plugins list");
}

}  // namespace

Setup::Setup(const TrainRequest& request, CommWorld& world) : run(request.run), kernels(request.run.devices.kind) {
  if (!run.train.steps) run.document.section("train").reject("steps", "required, and not given");
  plan(request, world.size());
  samples = data::open_samples(run, model, ops, compiled.plan.batch);
  weights = open_weights(run, model, *request.catalog);
  compare_classes(run, weights.get(), samples.class_names);  // told before there were ranks, unless others started them
  const CountMemory counting(memory, Purpose::transient);
  executor = std::make_unique<Executor>(compiled, model, *schedule, kernels, ops, world, executor_options());
}

void Setup::plan(const TrainRequest& request, int devices) {
  dimensions = request.catalog->dimensions();
  model = describe_model(run, *request.catalog);
  request.catalog->load_ops(ops);
  load_kernels(*request.catalog, kernels);
  take_products();
  if (run.devices.kind == "cpu") {
    ops.set_products_in_place(kernels.products().in_place());
    ops.set_threads(at::get_num_threads());
  }
  const Plan plan = plan_of(run, model, dimensions, devices, request.plan_file);
  compiled = compile(plan, model, dimensions, ops, run.train.dtype);
  schedule = &schedule_of(dimensions, plan.schedule);
}

std::filesystem::path Setup::products_file() const { return run.output / "products.txt"; }

// A run into the folder of an earlier one computes each product with the same library: the same numbers, bit for bit.
void Setup::take_products() {
  if (!std::filesystem::exists(products_file())) return;
  std::istringstream text(read_file(products_file()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);)
    if (!line.empty()) lines.push_back(line);
  kernels.products().preset(lines);
}

ExecutorOptions Setup::executor_options() const {
  const TrainSection& train = run.train;
  ExecutorOptions options;
  options.optimizer = {.beta1 = train.beta1,
                       .beta2 = train.beta2,
                       .eps = train.eps,
                       .weight_decay = train.weight_decay,
                       .clip = train.clip};
  options.seed = run.seed;
  options.device = run.devices.kind;
  options.check_collectives = train.check;
  options.weights = weights;
  return options;
}

std::vector<Bytes> Setup::predicted_memory() const {
  const auto stages = static_cast<int>(compiled.stages.size());
  std::vector<Bytes> result;
  for (int stage = 0; stage < stages; ++stage) {
    const std::vector<Action> actions =
        schedule->actions(compiled.plan.schedule, stage, stages, compiled.plan.micro_batches);
    result.push_back(
        replay_memory(*compiled.stages.at(static_cast<std::size_t>(stage)), actions, compiled.context.dtype).peak);
  }
  return result;
}

}  // namespace trellis::train
