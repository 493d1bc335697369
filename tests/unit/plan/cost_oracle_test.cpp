#include <doctest/doctest.h>

#include <set>

#include "support/small_gpt.h"

using namespace trellis;

namespace {

CompiledPlan compiled(const ModelSpec& model, const Plan& plan) {
  return compile(plan, model, test::dimensions(), *test::op_library(), Dtype::f32);
}

std::set<std::string> keys(const CompiledPlan& plan) {
  std::set<std::string> found;
  for (const auto& stage : plan.stages)
    for (const auto* list : {&stage->forward, &stage->backward})
      for (const Instruction& i : *list)
        if (std::string key = compute_key(*stage, i); !key.empty()) found.insert(std::move(key));
  return found;
}

}  // namespace

TEST_CASE("a key names kind, attributes, local sizes and dtype of a kernel") {
  const ModelSpec model = test::small_gpt();
  const auto all = keys(compiled(model, test::uniform(model, {2}, test::strategy("tp: {degree: 2}"))));
  CHECK(all.contains("linear+bias forward batch 8 sequence 32 ffn 128 of hidden 64 f32"));
  CHECK(all.contains("linear forward batch 8 sequence 32 hidden 64 of ffn 128 f32"));
}

TEST_CASE("keys do not depend on degrees: tp 2 of ffn 256 runs what one device with ffn 128 would run") {
  const ModelSpec model = test::small_gpt();
  const auto half = keys(compiled(model, test::uniform(model, {2}, test::strategy("{}"), 1, 1, 8)));
  const auto four = keys(compiled(model, test::uniform(model, {}, test::strategy("{}"), 1, 2, 8)));
  CHECK(half == four);  // data parallel over 2, and one device with 2 micro-batches: 4 samples each
}

TEST_CASE("a measured time is taken where the profile has it, and what it lacks is named as estimated") {
  const ModelSpec model = test::small_gpt();
  const CompiledPlan plan = compiled(model, test::uniform(model, {}, {}));
  Profile profile;
  for (const std::string& key : keys(plan)) profile.compute[key] = 1_ms;
  const Prices measured(test::plain_cluster(), profile, test::op_library());
  const DetailedCost cost = price_plan(plan, find_schedule(test::dimensions(), "1f1b"), measured);
  CHECK(measured.estimated().empty());
  CHECK(cost.stages[0].forward > 40_ms);  // so many kernels
  profile.compute.erase("linear+bias forward batch 8 sequence 32 ffn 256 of hidden 64 f32");
  const Prices lacking(test::plain_cluster(), profile, test::op_library());
  price_plan(plan, find_schedule(test::dimensions(), "1f1b"), lacking);
  CHECK(lacking.estimated() ==
        std::set<std::string>{"linear+bias forward batch 8 sequence 32 ffn 256 of hidden 64 f32"});
}

TEST_CASE("a change of strategy between layers costs what its moves take, none costs nothing") {
  const ModelSpec model = test::small_gpt();
  const Oracle oracle(model, test::dimensions(), test::op_library(), Dtype::f32, test::plain_prices());
  const auto placed = [&](const std::string& yaml) {
    const Strategy s = test::strategy(yaml);
    return Candidate{s, *place(s, *model.layers[1], {{2}}, test::dimensions()).placement};
  };
  const GlobalChoice choice{.batch = 8, .micro_batches = 1, .atoms = {2}};
  const Candidate dp = placed("{}"), tp = placed("tp: {degree: 2}");
  const Where where{.choice = &choice, .shapes = shared_shapes(model, choice, {&dp.placement, &tp.placement})};
  CHECK(oracle.edge(1, dp, dp, where) == EdgeCost{});
  CHECK(oracle.edge(1, dp, tp, where).forward > 10_us);
  CHECK(oracle.edge(1, dp, tp, where).backward > 0_ps);
  CHECK(oracle.layer(1, dp, where).exit == oracle.layer(2, dp, where).exit);
  CHECK(oracle.layer(1, dp, where).exit != oracle.layer(1, tp, where).exit);
}

TEST_CASE("profiles and clusters are read back as written, and a foreign profile is refused") {
  Profile profile;
  profile.machine = {{"device", "a \"quoted\" one"}, {"threads", "1"}};
  profile.compute = {{"linear forward batch 8 f32", 1234567_ps}};
  profile.links = {{MoveKind::all_gather, 2, false, {12_us, 2.5e9}}};
  profile.copy_bandwidth = 9e9;
  profile.adamw = 3_ms;
  const std::string text = to_yaml(profile);
  const Profile back = read_profile(Options::from_text(text, "profile.yaml"));
  CHECK(to_yaml(back) == text);
  CHECK(back.compute == profile.compute);
  std::string foreign = text;
  foreign.replace(foreign.find("threads: \"1\""), 12, "threads: \"2\"");
  CHECK_THROWS_WITH_AS(read_profile(Options::from_text(foreign, "profile.yaml")), doctest::Contains("fingerprint"),
                       Error);
}
