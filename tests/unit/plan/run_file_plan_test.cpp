#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"
#include "trellis/plan/schedule.h"

using namespace trellis;

namespace {

// A dimension that claims innermost devices, as tp does.
class Claims final : public Parallelism {
  Traits traits() const override { return {.name = "tp", .options = {"degree"}}; }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override { return {{"tp", {}}}; }
  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    const auto degree = static_cast<int>(setting.integer("degree", 1));
    if (!placement.claim("tp", degree)) return reject(fmt::format("there are no {} devices", degree));
    return accept();
  }
};

class Pipelines final : public Parallelism, public PipelineSchedule {
  Traits traits() const override { return {.name = "pp", .scope = Scope::model, .options = {"degree", "schedule"}}; }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext&) const override { return {{"pp", {}}}; }
  Verdict apply(const Setting&, const LayerSpec&, Placement&) const override { return accept(); }
  const void* extension(std::string_view id) const override {
    return id == kPipelineSchedule ? static_cast<const PipelineSchedule*>(this) : nullptr;
  }
  std::vector<std::string> names() const override { return {"gpipe", "1f1b"}; }
  std::vector<Action> actions(std::string_view, int, int, int) const override { return {}; }
};

const Dimensions kDimensions = {std::make_shared<Claims>(), std::make_shared<Pipelines>()};

ModelSpec model_of(int layers) {
  ModelSpec model;
  for (int i = 0; i < layers; ++i) {
    auto layer = std::make_shared<LayerSpec>();
    layer->type = "block";
    model.layers.push_back(layer);
  }
  return model;
}

Plan uniform(std::string_view text, int layers, int devices) {
  return uniform_plan(Options::from_text(text, "u"), model_of(layers), kDimensions, devices, 16);
}

std::string error_of(std::string_view text, int layers, int devices) {
  try {
    uniform(text, layers, devices);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("without a strategy all devices are data parallel") {
  const Plan plan = uniform("{}", 4, 12);
  CHECK(plan.batch == 16);
  CHECK(plan.micro_batches == 1);
  CHECK(plan.atoms == std::vector<int>{2, 2, 3});
  CHECK(plan.stages == std::vector<StageRange>{{0, 3}});
  CHECK(plan.layers == std::vector<Strategy>(4));
}

TEST_CASE("the factors of the devices are ordered so that the degree finds its devices innermost") {
  CHECK(uniform("tp: {degree: 3}", 4, 6).atoms == std::vector<int>{2, 3});
  CHECK(uniform("tp: {degree: 2}", 4, 6).atoms == std::vector<int>{3, 2});
  CHECK(uniform("tp: {degree: 4}", 4, 12).atoms == std::vector<int>{3, 2, 2});
}

TEST_CASE("stages get equal numbers of layers, not counting the first and the last") {
  const Plan plan = uniform("pp: {degree: 2, schedule: gpipe}\nmicro_batches: 4", 14, 4);
  CHECK(plan.stages == std::vector<StageRange>{{0, 6}, {7, 13}});
  CHECK(plan.schedule == "gpipe");
  CHECK(plan.micro_batches == 4);
  CHECK(plan.atoms == std::vector<int>{2});
  CHECK(uniform("pp: {degree: 3}", 7, 3).stages == std::vector<StageRange>{{0, 2}, {3, 4}, {5, 6}});
}

TEST_CASE("a uniform strategy that cannot be says why") {
  CHECK(error_of("tp: {degree: 4}", 4, 6) ==
        "u:1:1: does not fit on 6 devices: layer 0 (block): tp degree 4 does not fit: there are no 4 devices\n"
        "    change the strategy, or the number of ranks (--nproc)");
  CHECK(error_of("pp: {degree: 4}", 12, 6) ==
        "u:1:14: pp.degree: 4 stages do not divide 6 devices\n"
        "    run on a multiple of 4 devices (--nproc), or change the degree");
  CHECK(error_of("pp: {degree: 4}", 5, 4) ==
        "u:1:14: pp.degree: 4 stages need as many layers between the first and the last; the model has 3");
  CHECK(error_of("pp: {degree: 2, schedule: 1f1p}", 6, 2) ==
        "u:1:27: pp.schedule: no pipeline schedule named '1f1p'\n    did you mean '1f1b'?");
  CHECK(error_of("micro_batches: 17", 4, 2) ==
        "u:1:16: micro_batches: expected 1 to 16, as many as a batch has samples; found 17");
}

TEST_CASE("a plan for other devices or another batch than the run's is refused with the fix") {
  std::string name = (std::filesystem::temp_directory_path() / "trellis-run-plan-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  const std::filesystem::path file = folder / "plan.yaml";
  write_file_atomically(
      file,
      "apiVersion: trellis/v1\nkind: Plan\nglobal: {batch: 16, micro_batches: 1, devices: 2, atoms: [2]}\n"
      "pipeline: {schedule: 1f1b, stages: [0-3]}\nlayers:\n  - {layers: 0-3}\n");
  const auto error = [&](std::string_view text, int devices) -> std::string {
    const RunFile run = RunFile::read(Options::from_text(text, "r.yaml"));
    try {
      plan_of(run, model_of(4), kDimensions, devices, file);
    } catch (const Error& error) {
      return error.message() + " | " + error.hint();
    }
    return "no error";
  };
  CHECK(devices_of_plan(file) == 2);
  CHECK(error("model: {use: gpt}", 2) == "no error");
  CHECK(error("model: {use: gpt}\ntrain: {batch: 16}", 2) == "no error");
  CHECK(error("model: {use: gpt}", 4) ==
        fmt::format("the plan {} is for 2 devices, the run has 4 ranks | start 2 ranks (--nproc 2, or torchrun "
                    "--nproc-per-node), or search a plan for 4 devices",
                    file.string()));
  CHECK(error("model: {use: gpt}\ntrain: {batch: 8}", 2) ==
        fmt::format("train.batch: the run wants 8 samples a step, the plan {} was made for 16 | search again, or set "
                    "train.batch=16",
                    file.string()));
  std::filesystem::remove_all(folder);
}
