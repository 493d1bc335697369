#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "support/paths.h"
#include "support/small_gpt.h"

using namespace trellis;

namespace {

std::string told(const std::string& yaml, const ExplainOptions& options, double slowdown = 1) {
  Cluster cluster = test::plain_cluster();
  cluster.slowdown = slowdown;
  const Prices prices(cluster, std::nullopt, test::op_library());
  const ModelSpec model = test::small_gpt();
  const Plan plan = test::uniform(model, {2, 2}, test::strategy(yaml));
  const CompiledPlan compiled = compile(plan, model, test::dimensions(), *test::op_library(), Dtype::f32);
  return explain(compiled, model, find_schedule(test::dimensions(), "1f1b"), prices, options);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an explanation tells time, memory and communication of each group of layers, and because of what") {
  const std::string text = told("{tp: {degree: 2}, megatron_sp: on, zero: {stage: 2}}", {});
  CAPTURE(text);
  CHECK(has(text, "4 devices, batch 8 in 1 micro-batch of 8, schedule 1f1b"));
  CHECK(has(text, "layers 1-4  block  "));
  CHECK(has(text, "2 x all_gather among 2"));
  CHECK(has(text, "because each device has the gradient of its own samples or positions only"));
  CHECK(has(text, "schedule 1f1b: replayed "));
  CHECK(has(text, "  replayed peak memory "));
  CHECK(has(text, "  update: gradient norm "));  // ZeRO-2 reduces in every micro-batch, the last one is like the others
  CHECK(has(text, ", optimizer "));
  CHECK(has(text, ", parameter gather "));
  CHECK_FALSE(has(text, "  the last one: "));
  CHECK(has(text, "times are estimated from cluster plain"));
}

TEST_CASE("a program lists every instruction of a layer with its slots, shapes and time") {
  const std::string text = told("{tp: {degree: 2}, megatron_sp: on}", {.layer = 2, .program = true});
  CAPTURE(text);
  CHECK(has(text, "layer 2 block"));
  CHECK(has(text, "all_gather >"));
  CHECK(has(text, "[4 32 2 1 16]"));
  CHECK(has(text, "linear dw"));
  CHECK_FALSE(has(text, "layer 3 block"));
  CHECK_THROWS_WITH_AS(told("{}", {.layer = 99}), doctest::Contains("layers 0-5"), Error);
}

TEST_CASE("the cluster descriptions of this repository are read") {
  for (const std::string name : {"this-cpu", "a100-80g", "h100-80g"}) {
    const Cluster cluster = read_cluster(Options::from_file("configs/clusters/" + name + ".yaml"));
    CHECK(cluster.name == name);
    CHECK(cluster.flops.at("f32") > 1e9);
  }
}

TEST_CASE("what reductions add to the last micro-batch and to the update is told apart from the optimizer") {
  const std::string text = told("{}", {}, 1.5);
  CAPTURE(text);
  CHECK(has(text, "  update: gradient reduction "));
  CHECK(has(text, ", optimizer "));
  CHECK_FALSE(has(text, "parameter gather"));
  CHECK(has(text, "  the last one: backward "));
  CHECK(has(text, " longer, beside gradient reductions"));
}

TEST_CASE("what ZeRO 0 and 1 hold of reductions until the update is named, with the way out; ZeRO 2 and 3 do not hold it") {
  for (const char* plain : {"{}", "{zero: {stage: 1}}"})
    CHECK(has(told(plain, {}), "\nstaged gradients: up to "));
  CHECK(has(told("{}", {}), "search.fix={zero: {stage: {above: 1}}}"));
  for (const char* split : {"{zero: {stage: 2}}", "{zero: {stage: 3}}"})
    CHECK_FALSE(has(told(split, {}), "staged gradients"));
}

TEST_CASE("the costs of groups of layers are told as figures, too") {
  const ModelSpec model = test::small_gpt();
  const Plan plan = test::uniform(model, {2, 2}, test::strategy("{tp: {degree: 2}, zero: {stage: 3}}"));
  const CompiledPlan compiled = compile(plan, model, test::dimensions(), *test::op_library(), Dtype::f32);
  const PipelineSchedule& schedule = find_schedule(test::dimensions(), "1f1b");
  const auto prices = test::plain_prices();
  const std::vector<LayerGroupCost> groups = layer_group_costs(compiled, model, schedule, *prices);
  REQUIRE(groups.size() == 3);  // embedding, blocks, head
  CHECK(groups[1].first == 1);
  CHECK(groups[1].last == 4);
  const DetailedCost cost = price_plan(compiled, schedule, *prices);
  Picoseconds forward{0};
  for (const LayerGroupCost& g : groups) {
    forward += g.forward * (g.last - g.first + 1);
    CHECK(g.states > 0_B);
    CHECK(std::ranges::any_of(g.traffic, [](const LayerTraffic& t) { return t.what == "all_gather" && t.ranks == 2; }));
  }
  CHECK(std::abs(forward.value - cost.stages[0].forward.value) <= 8);  // but for the rounding of means
}

TEST_CASE("the model's operations are those of one device without checkpoints, sample for sample") {
  const ModelSpec model = test::small_gpt();
  const Flops one = model_flops(model, 1, Dtype::f32, *test::op_library());
  CHECK(model_flops(model, 8, Dtype::f32, *test::op_library()) == one * 8);
  // Products of a block and sample: forward 2, backward 4 operations for each parameter and position.
  std::int64_t products = 0;
  for (const auto& layer : model.layers)
    for (std::size_t p = 0; p < layer->parameters.size(); ++p)
      if (layer->type == "block" && layer->parameters[p].dims.size() > 1 && layer->parameters[p].weight_decay)
        products += 6 * layer->parameter_elements(static_cast<ParameterId>(p)) * model.sequence;
  CHECK(one.value > products);
  CHECK(one.value < 4 * products);
}

TEST_CASE("one device reduces nothing: its last micro-batch is like the others, its update is the optimizer's") {
  const ModelSpec model = test::small_gpt();
  const CompiledPlan compiled =
      compile(test::uniform(model, {}, {}), model, test::dimensions(), *test::op_library(), Dtype::f32);
  const std::string text =
      explain(compiled, model, find_schedule(test::dimensions(), "1f1b"), *test::plain_prices(), {});
  CAPTURE(text);
  CHECK_FALSE(has(text, "the last one"));
  CHECK_FALSE(has(text, "gradient reduction"));
  CHECK_FALSE(has(text, "parameter gather"));
  CHECK(has(text, ", optimizer "));
}
