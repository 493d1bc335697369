#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include "cases.h"
#include "plan_format.h"
#include "trellis/plan/files.h"

namespace trellis::galvatron {
namespace {

const std::string kPublished = "galvatron_config_llama2-7b_1nodes_8gpus_per_node_36GB_bf16.json";

PlanFormat::Imported import(const Json& json, const std::string& name = "plan.json") {
  return GalvatronFormat().read(json.dump(), name);
}

// What the oldest of the reference's examples say.
Json oldest() {
  return {{"pp_deg", 2},
          {"tp_sizes_enc", "2,2,1,1"},
          {"tp_consecutive_flags", "1,1,1,1"},
          {"dp_types_enc", "0,0,1,1"},
          {"global_bsz", 64},
          {"chunks", 8},
          {"pp_division", "2,2"},
          {"pipeline_type", "pipedream_flush"},
          {"default_dp_type", "zero2"}};
}

std::string joined(const std::vector<std::string>& lines) { return fmt::format("{}", fmt::join(lines, "\n")); }

bool has(const std::vector<std::string>& lines, const std::string& text) {
  return joined(lines).find(text) != std::string::npos;
}

TEST_CASE("the published plan is read, and written again as it was") {
  const std::string text = read_file(testing::source_dir() / "configs/galvatron/llama2-7b" / kPublished);
  const auto [plan, lost] = GalvatronFormat().read(text, kPublished);
  CHECK(plan.devices == 8);
  CHECK(plan.batch == 16);
  CHECK(plan.layers.size() == 34);
  CHECK(to_string(plan.layers[0]) == "ulysses 2, zero 3");
  CHECK(to_string(plan.layers[1]) == "zero 3, ckpt full");
  CHECK(to_string(plan.layers[32]) == "zero 3");
  CHECK(plan.layers[33] == plan.layers[0]);
  CHECK(joined(lost) == "world_size: not said, 8, as the file's name says, is assumed");

  const auto written = GalvatronFormat().write(plan);
  CHECK(joined(written.lost).empty());
  Json expected = Json::parse(text), found = Json::parse(written.text);
  for (const auto& [key, value] : expected.items()) CHECK_MESSAGE(found[key] == value, key);
  CHECK(found["world_size"] == 8);
}

TEST_CASE("the oldest form is read; what it does not say is told") {
  const auto [plan, lost] = import(oldest());
  CHECK(plan.devices == 4);
  CHECK(plan.schedule == "1f1b");
  CHECK(plan.stages == std::vector<StageRange>{{0, 2}, {3, 5}});
  CHECK(to_string(plan.layers[1]) == "tp 2, megatron_sp");
  CHECK(to_string(plan.layers[3]) == "zero 3");
  for (const char* text :
       {"world_size: not said, 4, the fewest devices for these degrees,", "use_sp: not said", "checkpoint: not said",
        "vtp: not said, 1", "vsp: not said, 0", "embed_sdp: not said, 0", "megatron_sp is assumed"})
    CHECK_MESSAGE(has(lost, text), joined(lost));
}

TEST_CASE("what Trellis cannot express is told") {
  Json json = oldest();
  json["world_size"] = 16;
  json["cp_sizes_enc"] = "2,1,1,1";
  json["tp_consecutive_flags"] = "0,1,1,1";
  json["ep_sizes_enc"] = "1,1,1,4";
  json["tp_of_ep_sizes_enc"] = "1,1,1,1";
  json["vcp"] = 2;
  json["color"] = "red";
  const auto [plan, lost] = import(json);
  for (const char* text :
       {"cp_sizes_enc: there is no context parallelism", "vcp:", "ep_sizes_enc: there is no expert parallelism",
        "tp_consecutive_flags: 1 layers", "color: not known here"})
    CHECK_MESSAGE(has(lost, text), joined(lost));
  CHECK_FALSE(has(lost, "tp_of_ep_sizes_enc"));
}

TEST_CASE("bad plan files are refused, with the key") {
  const auto check = [](const char* key, const Json& value, const char* reason) {
    Json json = oldest();
    if (value.is_null()) json.erase(key);
    else json[key] = value;
    const std::string text = error_of([&] { import(json); });
    CHECK_MESSAGE(text.find(std::string("plan.json: ") + key) != std::string::npos, text);
    CHECK_MESSAGE(text.find(reason) != std::string::npos, text);
  };
  check("dp_types_enc", "0,0,1", "3 entries, expected 4: one for each layer");
  check("tp_consecutive_flags", "1,1,1,1,1", "5 entries, expected 4");
  check("use_sp", "0", "1 entries, expected 4");
  check("pp_division", "4", "1 entries, expected 2: one for each stage");
  check("pp_division", "2,3", "5 layers in all, tp_sizes_enc has 4");
  check("tp_sizes_enc", "2,,1,1", "found ''");
  check("tp_sizes_enc", "2,0,1,1", "found '0'");
  check("tp_sizes_enc", Json::array({2, 2, 1, 1}), "expected text like");
  check("dp_types_enc", "0,0,2,1", "expected 0 or 1, found 2");
  check("pp_deg", nullptr, "required, and not there");
  check("tp_sizes_enc", nullptr, "required, and not there");
  check("dp_types_enc", nullptr, "required, and not there");
  check("global_bsz", nullptr, "required, and not there");
  check("chunks", nullptr, "required, and not there");
  check("chunks", 100, "100 micro-batches cannot be made of 64 samples");
  check("pp_deg", 0, "at least 1");
  check("pipeline_type", "1f1b", "expected gpipe or pipedream_flush");
  check("vsp", 3, "expected 0 or 1");
  Json narrow = oldest();
  narrow["world_size"] = 2;
  CHECK(error_of([&] { import(narrow); }).find("degree 2 does not divide the 1 devices") != std::string::npos);
  CHECK(error_of([&] { GalvatronFormat().read("pp_deg: 1", "plan.json"); }).find("not JSON") != std::string::npos);
}

TEST_CASE("what the reference's format cannot express is told") {
  Plan plan = import(oldest(), "x_1nodes_8gpus_per_node.json").plan;
  const auto lost_with = [&](auto&& change) {
    Plan changed = plan;
    change(changed);
    return GalvatronFormat().write(changed).lost;
  };
  const auto set = [](Strategy& s, const char* dimension, const char* option, const char* value) {
    s[dimension] = {dimension, {{option, value}}};
  };
  CHECK(has(lost_with([&](Plan& p) { set(p.layers[3], "zero", "stage", "1"); }), "layer 3: zero 1 becomes zero2"));
  CHECK(
      has(lost_with([&](Plan& p) { set(p.layers[2], "ring", "degree", "2"); }), "layer 2: ring 2 is not known there"));
  CHECK(has(lost_with([&](Plan& p) { p.layers[0] = p.layers[1]; }), "there both are one"));
  CHECK(has(lost_with([&](Plan& p) { p.schedule = "interleaved"; }), "schedule 'interleaved'"));
  CHECK(has(lost_with([&](Plan& p) { p.layers[1].erase("megatron_sp"); }), "on in 1 layers with tp and off in 1"));
  CHECK(has(lost_with([&](Plan& p) {
              p.stages = {{0, 0}, {1, 5}};
            }),
            "stage 0: it has no layer but embedding or head"));
  CHECK(has(lost_with([&](Plan& p) { set(p.layers[5], "ckpt", "", "full"); }), "ckpt is for the layers between only"));
}

TEST_CASE("a plan that the search found reads back from both formats to itself") {
  const Case c(kFixture, {"micro_batches=64"});
  const Solution best = *search_as_reference(c.costs()).best;
  const Plan plan = to_plan(best, c.settings);
  CHECK(GalvatronFormat().read(to_document(best, c.settings), "plan.json").plan == plan);
  CHECK(GalvatronFormat().read(GalvatronFormat().write(plan).text, "plan.json").plan == plan);
}

}  // namespace
}  // namespace trellis::galvatron
