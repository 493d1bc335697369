// The rules of a model family.
#include <algorithm>
#include <map>
#include <set>

#include "plan/model/model_checks.h"
#include "plan/plugin/conformance/conformance.h"
#include "plan/weights/import.h"
#include "trellis/plan/program.h"

namespace trellis::conformance {
namespace {

using Index = std::size_t;

constexpr std::int64_t kShrunkParameters = 2'000'000;  // a step of such a model takes milliseconds on one core

// Every number in a layer names something that is there, and values are made before they are read.
std::string graph_problem(const LayerSpec& layer) {
  const auto is_in = [](int id, const auto& list) { return id >= 0 && static_cast<Index>(id) < list.size(); };
  std::vector<bool> made(layer.values.size());
  for (const auto* list : {&layer.inputs, &layer.fields}) {
    for (ValueId x : *list) {
      if (!is_in(x, layer.values)) return fmt::format("there is no value {}", x);
      made[static_cast<Index>(x)] = true;
    }
  }
  std::set<ParameterId> used;
  for (const Op& op : layer.ops) {
    if (op.inputs.size() != op.input_dims.size())
      return fmt::format("op '{}' has {} inputs and the dims of {}", op.name, op.inputs.size(), op.input_dims.size());
    for (Index i = 0; i < op.inputs.size(); ++i) {
      const ValueId x = op.inputs[i];
      if (!is_in(x, layer.values) || !made[static_cast<Index>(x)])
        return fmt::format("op '{}' reads a value that was not made before it", op.name);
      if (op.input_dims[i].size() != layer.values[static_cast<Index>(x)].dims.size())
        return fmt::format("op '{}' takes input {} with another number of dims than it has", op.name, i);
    }
    for (ParameterId p : op.parameters) {
      if (!is_in(p, layer.parameters)) return fmt::format("op '{}' has a parameter that is not there", op.name);
      used.insert(p);
    }
    if (!is_in(op.output, layer.values)) return fmt::format("op '{}' has no output", op.name);
    made[static_cast<Index>(op.output)] = true;
  }
  if (used.size() != layer.parameters.size()) return "a parameter belongs to no op";
  for (ValueId x : layer.outputs)
    if (!is_in(x, layer.values) || !made[static_cast<Index>(x)]) return "an output is never made";
  return {};
}

std::string one_object_problem(const ModelSpec& model) {
  std::map<std::string, const LayerSpec*> by_type;
  for (const auto& layer : model.layers)
    if (const LayerSpec* first = by_type.emplace(layer->type, layer.get()).first->second; first != layer.get())
      return fmt::format("two layers of type '{}' are two objects; searching takes one type as one", layer->type);
  return {};
}

// A plan in which nothing is on, over equal stages.
Plan plain_plan(const ModelSpec& model, int devices, int stages) {
  Plan plan;
  plan.devices = devices;
  plan.batch = devices;
  plan.micro_batches = 1;
  plan.atoms = devices == stages ? std::vector<int>{} : std::vector<int>{devices / stages};
  plan.layers.resize(model.layers.size());
  const int layers = static_cast<int>(model.layers.size());
  for (int s = 0; s < stages; ++s) plan.stages.push_back({layers * s / stages, layers * (s + 1) / stages - 1});
  return plan;
}

std::vector<std::string> types_of(const ModelSpec& model) {
  std::set<std::string> types;
  for (const auto& layer : model.layers) types.insert(layer->type);
  return {types.begin(), types.end()};
}

std::string shrink_problem(const ModelFamily& family, const ModelSpec& whole) {
  const Options defaults = Options::empty();
  const Options small = family.shrink(defaults);
  const ModelSpec model = family.describe(small);
  small.finish();
  if (const std::int64_t n = parameter_elements(model); n > kShrunkParameters)
    return fmt::format("{} parameters are left, expected at most {}", n, kShrunkParameters);
  if (types_of(model) != types_of(whole))
    return fmt::format("its types of layers became {}, from {}", fmt::join(types_of(model), ", "),
                       fmt::join(types_of(whole), ", "));
  const std::string problem = checks::chain_problem(model);
  return problem.empty() ? checks::sharing_problem(model) : problem;
}

// Of a folder as an export would write it.
class MappedTensors final : public WeightTensors {
 public:
  explicit MappedTensors(const WeightMap& map) {
    for (const WeightPiece& piece : map.pieces()) shapes_.emplace(piece.tensor, piece.shape);
  }
  bool has(std::string_view tensor) const override { return shapes_.contains(tensor); }
  Shape shape(std::string_view tensor) const override {
    const auto found = shapes_.find(tensor);
    if (found == shapes_.end()) fail("there is no tensor '{}'", tensor);
    return found->second;
  }
  bool equal(std::string_view tensor, std::string_view other) const override { return tensor == other; }

 private:
  std::map<std::string, Shape, std::less<>> shapes_;
};

// Names that are written are those that are read, and a config.json means what it was made of.
std::string public_weights_problem(const ModelFamily& family, const PublicWeights& weights) {
  const Options small = family.shrink(Options::empty());
  weights.map(small, family.describe(small)).check();
  const Options options = Options::empty();
  const ModelSpec model = family.describe(options);
  const WeightMap map = weights.map(options, model);
  map.check();
  for (const WeightPiece& piece : map.pieces())
    if (const CanonicalName name = weights.canonical(piece.tensor); name.name != piece.tensor || !name.dropped.empty())
      return fmt::format("tensor '{}' is read as '{}'{}", piece.tensor, name.name,
                         name.dropped.empty() ? "" : ", and dropped");
  const ConfigReading reading = read_config(weights.write_config(options), "config.json", weights, MappedTensors(map));
  return fingerprint(family.describe(reading.options)) == fingerprint(model)
             ? ""
             : "the model of its config.json is another one";
}

}  // namespace

void examine(const ModelFamily& plugin, const Dimensions& dimensions, const OpLibrary& ops, Examination& exam) {
  ModelSpec model;
  const bool described = exam.rule("it describes a model without being told anything", [&] {
    const Options options = Options::empty();
    model = plugin.describe(options);
    options.finish();
    if (model.family.empty() || model.summary.empty()) return "the model has no family or no summary";
    return model.layers.empty() ? "the model has no layers" : "";
  });
  if (!described) return;
  exam.rule("described twice it is the same model", [&] {
    return fingerprint(plugin.describe(Options::empty())) == fingerprint(model) ? "" : "the fingerprints differ";
  });
  exam.rule("an option that it does not know is left for its caller to refuse", [&] {
    const Options options = Options::from_text("no_such_option: 1\n", "conformance");
    plugin.describe(options);
    try {
      options.finish();
    } catch (const Error&) {
      return "";
    }
    return "it read 'no_such_option'";
  });
  const bool graphs = exam.rule("the graph of every layer is whole", [&] {
    for (const auto& layer : model.layers)
      if (std::string problem = graph_problem(*layer); !problem.empty())
        return fmt::format("layer '{}': {}", layer->type, problem);
    return std::string();
  });
  if (!graphs) return;
  exam.rule("layers of one type are one object", [&] { return one_object_problem(model); });
  exam.rule("what layers share is alike in all of them", [&] { return checks::sharing_problem(model); });
  const bool chain = exam.rule("what a layer yields the next one takes, and the last one has the loss",
                               [&] { return checks::chain_problem(model); });
  exam.rule("its vocabulary and sequence are said where layers have them", [&] { return checks::size_problem(model); });
  if (!chain) return;
  exam.rule("it compiles for one device", [&] {
    compile(plain_plan(model, 1, 1), model, dimensions, ops, Dtype::f32);
    return "";
  });
  exam.rule("it compiles for two devices that share the samples", [&] {
    compile(plain_plan(model, 2, 1), model, dimensions, ops, Dtype::bf16);
    return "";
  });
  if (model.layers.size() > 1) {
    exam.rule("it compiles for two stages", [&] {
      compile(plain_plan(model, 2, 2), model, dimensions, ops, Dtype::f32);
      return "";
    });
  }
  exam.rule("shrunk it keeps its types of layers and trains in milliseconds",
            [&] { return shrink_problem(plugin, model); });
  if (const void* extension = plugin.extension(kPublicWeights)) {
    const auto& weights = *static_cast<const PublicWeights*>(extension);
    exam.rule("its public weights have every parameter once, under names that it reads, and a config.json that says so",
              [&] { return public_weights_problem(plugin, weights); });
  }
}

}  // namespace trellis::conformance
