#include <doctest/doctest.h>

#include "support/plugins.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plan_file.h"

using namespace trellis;

namespace {

constexpr std::string_view kHead = "apiVersion: trellis/v1\nkind: Plan\n";
constexpr std::string_view kGlobal = "global: {batch: 64, micro_batches: 8, devices: 8}\n";
constexpr std::string_view kAll = "layers: [{layers: 0-25}]\n";

Plan read(const std::string& text, int layers = 26) {
  return read_plan(Options::from_text(text, "plan.yaml"), test::dimensions(), layers);
}

// What is wrong with a plan.
std::string error(const std::string& text, int layers = 26) {
  try {
    read(text, layers);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::bad_input);
    return error.what();
  }
  return "accepted";
}

std::string text(std::string_view rest, std::string_view global = kGlobal) {
  return std::string(kHead) + std::string(global) + std::string(rest);
}

}  // namespace

TEST_CASE("a plan is read with everything that it says") {
  const Plan plan = read(R"(
apiVersion: trellis/v1
kind: Plan
made_by:   {search: exact 1.0.0, model: 5d1e, cluster: 90ab}
predicted: {step: 412.5ms, memory: [21.5GiB, 22GiB], throughput: 155.2 samples/s}
global:    {batch: 64, micro_batches: 8, devices: 8, atoms: [2, 2]}   # 2 stages of 4 devices
pipeline:  {schedule: gpipe, stages: [0-12, 13-25]}
layers:
  - {layers: 0,     tp: {degree: 2}, zero: {stage: 3}}
  - {layers: 1-12,  tp: {degree: 2}, megatron_sp: on, zero: {stage: 2}, ckpt: full}
  - {layers: 13-24, ulysses: {degree: 4}, zero: {stage: 2}, ckpt: off}
  - {layers: 25,    tp: {degree: 2}, zero: {stage: 3}}
)");
  CHECK(plan.batch == 64);
  CHECK(plan.micro_batches == 8);
  CHECK(plan.devices == 8);
  CHECK(plan.atoms == std::vector<int>{2, 2});
  CHECK(plan.schedule == "gpipe");
  CHECK(plan.stages == std::vector<StageRange>{{0, 12}, {13, 25}});
  CHECK(plan.made_by.at("search") == "exact 1.0.0");
  REQUIRE(plan.predicted);
  CHECK(plan.predicted->step == 412500_us);
  CHECK(plan.predicted->memory == std::vector<Bytes>{22016_MiB, 22_GiB});
  CHECK(plan.predicted->samples_per_second == 155.2);
  REQUIRE(plan.layers.size() == 26);
  CHECK(to_string(plan.layers[0]) == "tp 2, zero 3");
  CHECK(to_string(plan.layers[1]) == "tp 2, zero 2, ckpt full, megatron_sp");
  CHECK(plan.layers[12] == plan.layers[1]);
  CHECK(to_string(plan.layers[13]) == "ulysses 4, zero 2");
  CHECK(plan.layers[25] == plan.layers[0]);
}

TEST_CASE("without a pipeline there is one stage, without atoms the primes ascend") {
  const Plan plan =
      read(text("layers: [{layers: [0-3, 5]}, {layers: 4, ckpt: full}]", "global: {batch: 12, devices: 12}\n"), 6);
  CHECK(plan.stages == std::vector<StageRange>{{0, 5}});
  CHECK(plan.atoms == std::vector<int>{2, 2, 3});
  CHECK(plan.schedule == "1f1b");
  CHECK(plan.micro_batches == 1);
  CHECK(to_string(plan.layers[4]) == "ckpt full");
  CHECK_FALSE(plan.predicted);
  CHECK(read(text("layers: [{layers: 0}]", "global: {batch: 1, devices: 1}\n"), 1).atoms.empty());
}

TEST_CASE("a file of another kind is not a plan") {
  CHECK(error("apiVersion: trellis/v2\nkind: Plan\n") ==
        "plan.yaml:1:13: apiVersion: expected trellis/v1, found 'trellis/v2'");
  const std::string hint = "\n    a plan is what 'trellis search RUN.yaml --out FILE' writes";
  CHECK(error("apiVersion: trellis/v1\nkind: Profile\n") == "plan.yaml:2:7: kind: expected Plan, found 'Profile'" + hint);
  const std::string missing = ": it does not say 'apiVersion: trellis/v1' and 'kind: Plan'" + hint;
  CHECK(error("global: {batch: 2}\n") == "plan.yaml:1:1: this is no plan" + missing);
  CHECK(error("model: {use: gpt}\n") == "plan.yaml:1:1: this is no plan but a run file" + missing);
  CHECK(error("kind: Plan\n") == "plan.yaml:1:1: apiVersion: required, and not given");
  CHECK(error(std::string(kHead)) == "plan.yaml:1:1: global: required, and not given");
  CHECK(error(text("")) == "plan.yaml:1:1: layers: required, and not given");
}

TEST_CASE("an unknown key is an error at its place") {
  CHECK(error(text("layers: [{layers: 0-25}]\npipelines: {}\n")) ==
        "plan.yaml:5:1: pipelines: unknown option of a plan\n    did you mean 'pipeline'?");
  CHECK(error(text("layers: [{layers: 0-25}]", "global: {batch: 8, devices: 8, micro_batch: 8}\n")) ==
        "plan.yaml:3:32: global.micro_batch: unknown option of a plan's global section\n    did you mean "
        "'micro_batches'?");
}

TEST_CASE("an unknown dimension or option is an error with what was meant") {
  CHECK(error(text("layers: [{layers: 0-25, ulises: {degree: 2}}]")) ==
        "plan.yaml:4:33: layers[0].ulises: no parallelism dimension named 'ulises'\n    did you mean 'ulysses'?");
  CHECK(error(text("layers: [{layers: 0-25, experts: {degree: 2}}]")) ==
        "plan.yaml:4:34: layers[0].experts: no parallelism dimension named 'experts'\n"
        "    known: tp, ulysses, megatron_sp, zero, ckpt   of a plugin elsewhere: --plugins FOLDER; trellis plugins list "
        "tells the folders");
  CHECK(error(text("layers: [{layer: 0-25}]")) ==
        "plan.yaml:4:10: layers[0].layers: required, and not given\n    'layer' is given: did you mean 'layers'?");
  CHECK(error(text("layers: [{layers: 0-25, tp: {degre: 2}}]")) ==
        "plan.yaml:4:30: layers[0].tp.degre: unknown option of parallelism 'tp'\n    did you mean 'degree'?");
}

TEST_CASE("a setting of the wrong form or value is an error") {
  CHECK(error(text("layers: [{layers: 0-25, tp: 2}]")) ==
        "plan.yaml:4:29: layers[0].tp: expected a mapping or off, found '2'\n    write 'tp: {degree: 2}'");
  CHECK(error(text("layers: [{layers: 0-25, tp: {}}]")) ==
        "plan.yaml:4:29: layers[0].tp: nothing is set; expected degree\n    write 'tp: off' to leave it off");
  CHECK(error(text("layers: [{layers: 0-25, tp: {degree: two}}]")) ==
        "plan.yaml:4:38: layers[0].tp.degree: expected an integer, found 'two'");
  CHECK(error(text("layers: [{layers: 0-25, tp: {degree: 0}}]")) ==
        "plan.yaml:4:38: layers[0].tp.degree: expected at least 1, found 0");
  CHECK(error(text("layers: [{layers: 0-25, zero: {stage: 4}}]")) ==
        "plan.yaml:4:39: layers[0].zero.stage: expected 0 to 3, found 4");
  CHECK(error(text("layers: [{layers: 0-25, ckpt: on}]")) ==
        "plan.yaml:4:31: layers[0].ckpt: expected full or off, found 'on'");
  CHECK(error(text("layers: [{layers: 0-25, ckpt: {ops: all}}]")) ==
        "plan.yaml:4:31: layers[0].ckpt: expected full or off, found a mapping");
  CHECK(error(text("layers: [{layers: 0-25, tp: [2]}]")) ==
        "plan.yaml:4:29: layers[0].tp: expected a single value, found a list");
}

TEST_CASE("dp and pp are no choices of a layer") {
  CHECK(error(text("layers: [{layers: 0-25, dp: {degree: 2}}]")) ==
        "plan.yaml:4:29: layers[0].dp: not a choice: it takes the devices that the others leave");
  CHECK(error(text("layers: [{layers: 0-25, pp: {degree: 2}}]")) ==
        "plan.yaml:4:29: layers[0].pp: a choice for the whole plan, not for a layer");
}

TEST_CASE("every layer has exactly one strategy") {
  CHECK(error(text("layers: [{layers: 0-12}, {layers: 12-25}]")) ==
        "plan.yaml:4:35: layers[1].layers: layer 12 is already in layers[0]");
  CHECK(error(text("layers: [{layers: 0}, {layers: 3-20}]")) ==
        "plan.yaml:4:9: layers: no strategy for layers 1-2, 21-25\n    the model has layers 0-25");
  CHECK(error(text("layers: [{layers: 0-26}]")) ==
        "plan.yaml:4:19: layers[0].layers: there is no layer 26\n    the model has layers 0-25");
  CHECK(error(text("layers: [{layers: 25-0}]")) ==
        "plan.yaml:4:19: layers[0].layers: the range '25-0' runs backwards: write '0-25'");
  CHECK(error(text("layers: {layers: 0-25}")) == "plan.yaml:4:9: layers: expected a list of mappings, found a mapping");
}

TEST_CASE("stages follow one another and cover the model") {
  const auto staged = [](std::string_view stages) {
    return error(text("pipeline: {stages: [" + std::string(stages) + "]}\n" + std::string(kAll)));
  };
  CHECK(staged("0-12, 13-25") == "accepted");
  CHECK(staged("0-12, 14-25") ==
        "plan.yaml:4:20: pipeline.stages: stage 1 starts at layer 14, expected 13\n"
        "    stages follow one another without gap or overlap, from layer 0 on");
  CHECK(staged("1-12, 13-25") ==
        "plan.yaml:4:20: pipeline.stages: stage 0 starts at layer 1, expected 0\n"
        "    stages follow one another without gap or overlap, from layer 0 on");
  CHECK(staged("0-12, 13-24") ==
        "plan.yaml:4:20: pipeline.stages: no stage has layer 25\n"
        "    the stages end at layer 24; the model's last one is 25");
  CHECK(staged("") == "plan.yaml:4:20: pipeline.stages: no stage has layers 0-25");
  CHECK(staged("0-5, 6-12, 13-25") ==
        "plan.yaml:3:48: global.devices: 8 devices cannot be shared by 3 stages: all "
        "stages own equally many");
  CHECK(error(text("pipeline: {schedule: 1fb1}\n" + std::string(kAll))) ==
        "plan.yaml:4:22: pipeline.schedule: no pipeline schedule named '1fb1'\n    did you mean '1f1b'?");
}

TEST_CASE("batch, micro-batches, devices and atoms fit one another") {
  const auto global = [](std::string_view inner) {
    return error(text(kAll, "global: {" + std::string(inner) + "}\n"));
  };
  CHECK(global("batch: 64, devices: 6, atoms: [3, 2]") == "accepted");
  CHECK(global("batch: 64, devices: 8, atoms: [2, 4]") ==
        "plan.yaml:3:40: global.atoms: [2, 4] is not a product of primes for the 8 devices of a stage\n"
        "    expected [2, 2, 2], in any order");
  CHECK(global("batch: 64, devices: 0") == "plan.yaml:3:30: global.devices: expected at least 1, found 0");
  CHECK(global("batch: 0, devices: 8") == "plan.yaml:3:17: global.batch: expected at least 1, found 0");
  CHECK(global("batch: 4, micro_batches: 8, devices: 8") ==
        "plan.yaml:3:35: global.micro_batches: 8 micro-batches cannot be made of a batch of 4 samples\n"
        "    expected at most 4");
  CHECK(global("devices: 8") == "plan.yaml:3:9: global.batch: required, and not given");
}

TEST_CASE("a prediction has units") {
  const auto predicted = [](std::string_view inner) {
    return error(text(kAll, "predicted: {" + std::string(inner) + "}\n" + std::string(kGlobal)));
  };
  CHECK(predicted("step: 1.5s, memory: [1GiB], throughput: 3 samples/s") == "accepted");
  CHECK(predicted("step: 1ms, throughput: 3 s/sample") ==
        "plan.yaml:3:36: predicted.throughput: expected a number and ' samples/s', found '3 s/sample'");
  CHECK(predicted("stepp: 1ms").starts_with("plan.yaml:3:12: predicted.step: required, and not given"));
}
