// Training from an encoder with a new head: what the folder has is read, the head starts as it does without a folder, and
// so under every plan; what is left is a folder with the head.
#include <ATen/ATen.h>  // before doctest, whose CHECK it would take
#include <doctest/doctest.h>

#include "equivalence/equivalence.h"
#include "parity/golden.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "run/comm/thread_ranks.h"
#include "support/scratch.h"
#include "trellis/run/comm.h"

namespace trellis::test {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

struct NewHead {
  NewHead(const std::string& name, const std::string& key, const std::string& value)
      : folder(golden_path(name)), imported(import_model(folder, plugins())), options(imported.options) {
    options.set(key, value);
    trained = std::make_unique<Trained>(options.to_yaml(), VerifyOptions{.dtype = Dtype::f32}, imported.family);
    weights = WeightReader::open(folder, *family(imported.family), options, trained->model);
  }

  Tensors parameters(const Plan& plan, std::shared_ptr<const WeightReader> from, const RunFile* run = nullptr) const {
    const CompiledPlan compiled = trained->verifier.compiled(plan);
    Tensors result;
    ThreadRanks(plan.devices, true).run([&](CommWorld& world) {
      Executor executor(compiled, trained->model, find_schedule(dimensions(), "1f1b"), trained->kernels, trained->ops,
                        world, {.seed = 3, .weights = from});
      Tensors held = executor.parameters();
      std::unique_ptr<WeightExport> target;
      if (run && world.rank() == 0)
        target = begin_export(*run, trained->model, plugins(), from.get(), Dtype::f32);
      executor.visit_parameters([&](const std::string& name, const at::Tensor& whole) {
        if (target) target->write(name, {static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
      });
      if (target) target->commit();
      if (world.rank() == 0) result = std::move(held);
    });
    return result;
  }

  std::filesystem::path folder;
  ImportedModel imported;
  Options options;
  std::unique_ptr<Trained> trained;
  std::shared_ptr<const WeightReader> weights;
};

bool is_in(const std::string& name, const std::vector<std::string>& heads) {
  return std::any_of(heads.begin(), heads.end(), [&](const auto& head) { return name.starts_with("layers.3." + head); });
}

}  // namespace

TEST_CASE("a new head starts from initial weights and the rest from the folder, under every plan") {
  struct Case {
    const char *folder, *key, *value;
    std::vector<std::string> heads;
  };
  for (const Case& c : {Case{"bert-classification", "classes", "5", {"classifier"}},
                        Case{"bert-masked-lm", "task", "classification", {"classifier", "pooler"}},
                        Case{"vit", "classes", "7", {"classifier"}}}) {
    const NewHead model(c.folder, c.key, c.value);
    const Tensors initial = model.parameters(model.trained->plan(1, "{}"), nullptr);
    const Tensors held = model.parameters(model.trained->plan(1, "{}"), model.weights);
    for (const auto& [name, tensor] : held) {
      INFO(c.folder, " ", name);
      CHECK(at::equal(tensor, initial.at(name)) == is_in(name, c.heads));
    }
    for (const char* all : {"{zero: {stage: 1}}", "{zero: {stage: 3}}"})
      for (const auto& [name, tensor] : model.parameters(model.trained->plan(2, all), model.weights))
        CHECK_MESSAGE(at::equal(tensor, held.at(name)), name);
  }
}

TEST_CASE("a run that gave an encoder a new head exports the head, as the public class that has it") {
  const NewHead model("bert-masked-lm", "task", "classification");
  const Scratch scratch;
  RunFile run;
  run.model = {"bert", model.options};
  run.weights = model.folder;
  run.export_folder = scratch / "out";
  const Tensors held = model.parameters(model.trained->plan(2, "{}"), model.weights, &run);
  const ImportedModel again = import_model(run.export_folder, plugins());
  CHECK(again.options.get("task", "") == "classification");
  CHECK(again.weights->fresh().empty());
  CHECK(read_file(run.export_folder / "config.json").find("BertForSequenceClassification") != std::string::npos);
  std::vector<double> bias(2);
  again.weights->read("layers.3.classifier.weight", {{0, 0}, {1, 2}}, 0, 2, bias.data());
  CHECK(bias[0] == held.at("layers.3.classifier.weight")[0][0].item<double>());
}

}  // namespace trellis::test
