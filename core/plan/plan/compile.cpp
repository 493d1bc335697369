// From a plan to what every stage runs.
#include <fmt/format.h>

#include <numeric>
#include <tuple>

#include "plan/base/words.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/program.h"

namespace trellis {
namespace {

using Program = std::shared_ptr<const LayerProgram>;

// "layers 13-24": the given layer and the following ones that are the same in model and plan.
std::string same_layers(const Plan& plan, const ModelSpec& model, std::size_t first) {
  std::size_t last = first;
  while (last + 1 < plan.layers.size() && plan.layers[last + 1] == plan.layers[first] &&
         model.layers[last + 1] == model.layers[first])
    ++last;
  return fmt::format("{} {}", first == last ? "layer" : "layers", format(Range{first, last}));
}

void check_shape(const Plan& plan, const ModelSpec& model) {
  if (plan.layers.size() != model.layers.size())
    fail("the plan has {} layers, the model has {}", plan.layers.size(), model.layers.size());
  if (plan.batch < 1 || plan.micro_batches < 1)
    fail("a plan needs at least 1 sample and 1 micro-batch, found {} and {}", plan.batch, plan.micro_batches);
  int next = 0;
  for (const StageRange& stage : plan.stages) {
    if (stage.first != next || stage.last < stage.first)
      fail("stages follow one another from layer 0 on; found one of layers {}-{} where layer {} is next", stage.first,
           stage.last, next);
    next = stage.last + 1;
  }
  if (next != static_cast<int>(plan.layers.size())) fail("layers {} and later are in no stage", next);
  const auto stages = static_cast<int>(plan.stages.size());
  if (plan.line().size() * stages != plan.devices)
    fail("{} of {} are not {}", number_of(stages, "stage"), number_of(plan.line().size(), "device"),
         number_of(plan.devices, "device"));
}

class Compiler {
 public:
  Compiler(const CompiledPlan& compiled, const ModelSpec& model) : compiled_(compiled), model_(model) {}

  StageProgram stage(std::size_t number) {
    const std::vector<StageRange>& stages = compiled_.plan.stages;
    std::vector<Program> programs;
    for (int i = stages[number].first; i <= stages[number].last; ++i)
      programs.push_back(layer(static_cast<std::size_t>(i)));
    LinkContext context;
    context.derive = compiled_.context;
    context.first_layer = stages[number].first;
    context.first = number == 0;
    context.last = number + 1 == stages.size();
    if (!context.last) {
      const Program next = layer(static_cast<std::size_t>(stages[number + 1].first));
      context.next = next->spec;
      context.next_inputs = input_layouts(*next);
    }
    return link(programs, context);
  }

 private:
  Program layer(std::size_t i) {
    const std::shared_ptr<const LayerSpec>& spec = model_.layers[i];
    const Placement& placement = compiled_.placements[i];
    Program& program = programs_[{spec.get(), placement.key()}];
    if (program) return program;
    try {
      program = std::make_shared<const LayerProgram>(derive(spec, placement, compiled_.context));
    } catch (const Error& error) {
      const std::string layers = same_layers(compiled_.plan, model_, i);
      throw Error(error.code(), fmt::format("{}: {}: {}", layers, to_string(compiled_.plan.layers[i]), error.message()), error.hint(), error.mark());
    }
    return program;
  }

  const CompiledPlan& compiled_;
  const ModelSpec& model_;
  std::map<std::pair<const LayerSpec*, std::string>, Program> programs_;
};

}  // namespace

std::int64_t micro_batch_size(const Plan& plan, const std::vector<Placement>& placements) {
  std::int64_t multiple = 1;
  for (const Placement& placement : placements) multiple = std::lcm(multiple, placement.multiple(kBatch));
  const std::int64_t samples = (plan.batch + plan.micro_batches - 1) / plan.micro_batches;
  return (samples + multiple - 1) / multiple * multiple;
}

std::int64_t sequence_multiple(const std::vector<Placement>& placements, const ModelSpec& model) {
  std::int64_t multiple = 1;
  for (std::size_t i = 0; i < placements.size(); ++i)
    if (!model.layers.at(i)->dims_of_role(kSequence).empty())
      multiple = std::lcm(multiple, placements[i].multiple(kSequence));
  return multiple;
}

CompiledPlan compile(const Plan& plan, const ModelSpec& model, const Dimensions& dimensions, const OpLibrary& ops,
                     Dtype dtype) {
  check_shape(plan, model);
  CompiledPlan compiled;
  compiled.plan = plan;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    Placed placed = place(plan.layers[i], *model.layers[i], plan.line(), dimensions);
    if (!placed.placement) fail("{}: {}", same_layers(plan, model, i), placed.reason);
    compiled.placements.push_back(std::move(*placed.placement));
  }
  compiled.context.micro_batch = micro_batch_size(plan, compiled.placements);
  compiled.context.sequence_multiple = sequence_multiple(compiled.placements, model);
  compiled.context.dtype = dtype;
  compiled.context.ops = &ops;
  Compiler compiler(compiled, model);
  std::vector<StageProgram> stages;
  for (std::size_t i = 0; i < plan.stages.size(); ++i) stages.push_back(compiler.stage(i));
  link_updates(stages);
  for (StageProgram& stage : stages) compiled.stages.push_back(std::make_shared<const StageProgram>(std::move(stage)));
  return compiled;
}

}  // namespace trellis
