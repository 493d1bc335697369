#include <doctest/doctest.h>

#include <fstream>

#include "cases.h"
#include "loader/temporary_folder.h"
#include "trellis/plan/files.h"

namespace trellis::galvatron {
namespace {

// Contains both, the place and the reason.
#define CHECK_ERROR(call, place, reason)                         \
  do {                                                           \
    const std::string text = error_of([&] { call; });            \
    CHECK_MESSAGE(text.find(place) != std::string::npos, text);  \
    CHECK_MESSAGE(text.find(reason) != std::string::npos, text); \
  } while (false)

Json file(const std::string& name) { return JsonFile::read(testing::source_dir() / "configs/galvatron" / name).root(); }
JsonFile named(const Json& json) { return JsonFile::parse(json.dump(), "times.json"); }

const char* const kTimes = "llama2-7b/computation_profiling_bf16_llama2-7b_all.json";
const char* const kMemory = "llama2-7b/memory_profiling_bf16_llama2-7b_all.json";

TEST_CASE("files cut short or with NaN are refused with their place") {
  CHECK_ERROR(JsonFile::parse("{\"a\": 1,\n \"b", "times.json"), "times.json:2:", "it ends in the middle");
  CHECK_ERROR(JsonFile::parse("{\"a\": 1,\n \"b\": NaN}", "times.json"),
              "times.json:2:", "NaN and Infinity are no JSON");
  CHECK_ERROR(JsonFile::parse("[1]", "times.json"), "times.json", "expected an object");
  CHECK_ERROR(JsonFile::parse("", "times.json"), "times.json:1:1", "it ends in the middle");
  CHECK_ERROR(JsonFile::parse("{\"a\": 1e999}", "times.json").positive({"a"}), "times.json", "");
}

TEST_CASE("times of zero, below zero or that are no numbers are refused by key") {
  const Settings s = Case(kLlama).settings;
  for (const auto& [value, reason] :
       std::vector<std::pair<Json, const char*>>{{0, "more than 0, found 0"},
                                                 {-1.5, "more than 0, found -1.5"},
                                                 {"fast", "expected a number, found \"fast\""}}) {
    Json times = file(kTimes);
    times["layertype_0_bsz3_seq2048"] = value;
    CHECK_ERROR(read_computation(named(times), s), "times.json: layertype_0_bsz3_seq2048", reason);
  }
  Json times = file(kTimes);
  times["layertype_other_bsz3_seq2048"] = -1;
  CHECK_ERROR(read_computation(named(times), s), "layertype_other_bsz3_seq2048", "0 or more");
}

TEST_CASE("measurements beyond all reason are refused by key: times, memory, bandwidths") {
  const Settings s = Case(kLlama).settings;
  for (const auto& [value, reason] : std::vector<std::pair<Json, const char*>>{
           {1e300, "expected at most 1000000, found 1e+300"}, {1e-300, "expected at least 1e-06, found 1e-300"}}) {
    Json times = file(kTimes);
    times["layertype_0_bsz3_seq2048"] = value;
    CHECK_ERROR(read_computation(named(times), s), "times.json: layertype_0_bsz3_seq2048", reason);
    times = {{"layernum[2]_bsz1_seq2048", value}, {"layernum[4]_bsz1_seq2048", 2.0}};
    CHECK_ERROR(read_computation(named(times), s), "times.json: layernum[2]_bsz1_seq2048", reason);
    Json memory = file(kMemory);
    memory["layertype_0_sp"]["2048"]["parameter_size"] = value;
    CHECK_ERROR(read_memory(named(memory), s), "layertype_0_sp.2048.parameter_size", reason);
    const JsonFile some = named({{"allreduce_size_2_consec_1", 100.0}}), wrong = named({{"allreduce_size_2_consec_1", value}});
    const JsonFile send = named({{"pp_size_2", 100.0}}), overlap = named({{"overlap_coe", 1.2}}), none = named(Json::object());
    CHECK_ERROR(read_hardware(wrong, send, overlap, none, 2), "allreduce_size_2_consec_1", reason);
    CHECK_ERROR(read_hardware(some, named({{"pp_size_2", value}}), overlap, none, 2), "pp_size_2", reason);
    CHECK_ERROR(read_hardware(some, send, overlap, named({{"all2all_size_2_4MB_time", value}}), 2), "all2all_size_2_4MB_time", reason);
  }
  Json memory = file(kMemory);
  memory["other_memory_pp_off_sp"]["2048"]["activation"]["1"] = 1e12;
  CHECK_ERROR(read_memory(named(memory), s), "other_memory_pp_off_sp.2048.activation.1", "expected at most 1000000, found 1000000000000");
}

TEST_CASE("times by batch size that no growing line fits are refused") {
  Json times = file(kTimes);
  for (int batch = 1; batch <= 12; ++batch)
    times["layertype_0_bsz" + std::to_string(batch) + "_seq2048"] = batch == 1 ? 1e3 : 1e-3;
  CHECK_ERROR(read_computation(named(times), Case(kLlama).settings), "layertype_0_bsz*_seq2048", "the fit gives no positive time for batch size");
}

TEST_CASE("too few points for a fit are refused") {
  const Case llama(kLlama), fixture(kFixture);
  Json times = file(kTimes);
  for (int batch = 1; batch <= 5; ++batch) times.erase("layertype_0_bsz" + std::to_string(batch) + "_seq2048");
  CHECK_ERROR(read_computation(named(times), llama.settings), "layertype_0_bsz*_seq2048",
              "too few points for a fit: 7 batch sizes, at least 8");
  Json lengths = {
      {"layertype_0_bsz1_seq4096", 1.0}, {"layertype_0_bsz1_seq8192", 2.0}, {"layertype_other_bsz1_seq4096", 1.0}};
  CHECK_ERROR(read_computation(named(lengths), fixture.settings), "layertype_0_bsz1_seq*", "2 lengths, at least 3");
  lengths["layertype_0_bsz1_seq12288"] = 3.0;
  CHECK_ERROR(read_computation(named(lengths), fixture.settings), "layertype_other_bsz1_seq*", "1 lengths, at least 2");
}

TEST_CASE("keys that are missing are named") {
  const Case llama(kLlama);
  Json memory = file(kMemory);
  memory["layertype_0_sp"]["2048"].erase("parameter_size");
  CHECK_ERROR(read_memory(named(memory), llama.settings), "layertype_0_sp.2048.parameter_size", "not there");
  memory = file(kMemory);
  memory["other_memory_pp_on_last_sp"]["2048"].erase("activation");
  CHECK_ERROR(read_memory(named(memory), llama.settings), "other_memory_pp_on_last_sp.2048.activation", "not there");
  memory = file(kMemory);
  memory["other_memory_pp_off_sp"]["2048"]["model_states"].erase("4");
  Profiles profiles = llama.profiles;
  profiles.memory = read_memory(named(memory), llama.settings);
  CHECK_ERROR(search_as_reference({llama.settings, profiles}), "other_memory_pp_off_sp.2048.model_states.4",
              "required");
  memory = file(kMemory);
  memory["layertype_0_sp"]["2048"]["tp_activation_per_bsz_dict"].erase("checkpoint");
  profiles.memory = read_memory(named(memory), llama.settings);
  CHECK_ERROR(search_as_reference({llama.settings, profiles}), "tp_activation_per_bsz_dict.checkpoint",
              "disable: [ckpt]");
  CHECK_ERROR(read_computation(named({{"a", 1}}), llama.settings), "layertype_0", "no runs");
  CHECK_ERROR(read_memory(named({{"a", 1}}), llama.settings), "layertype_0_sp", "no runs");
}

TEST_CASE("a length that was not measured is refused, with those that were") {
  CHECK_ERROR(Case(kLlama, {"sequence=4096"}), "_seq4096", "lengths in the file: 2048");
}

TEST_CASE("runs that cannot be told apart or are incomplete are refused") {
  const Case llama(kLlama);
  Json memory = file(kMemory);
  for (const char* key :
       {"layertype_0_sp", "other_memory_pp_off_sp", "other_memory_pp_on_first_sp", "other_memory_pp_on_last_sp"})
    memory.erase(key);
  Json broken = memory;
  broken["1_1_8_sp"].erase("layernum[2]_bsz8_seq2048_rank0_act");
  CHECK_ERROR(read_memory(named(broken), llama.settings), "1_1_8_sp.layernum[2]_bsz8_seq2048_rank0_act", "not there");
  broken = memory;
  broken.erase("1_1_8_sp"), broken.erase("1_2_4_sp"), broken.erase("1_4_2_sp"), broken.erase("1_8_1_sp");
  CHECK_ERROR(read_memory(named(broken), llama.settings), "1_1_8_sp", "required");
  broken = memory;
  broken["1_1_8_sp"]["layernum[2]_bsz4_seq2048_rank0_act"] = 1.0;
  CHECK_ERROR(read_memory(named(broken), llama.settings), "1_1_8_sp", "several batch sizes");
}

TEST_CASE("a profile of several types of layers is refused") {
  Json times = file(kTimes);
  times["layertype_1_bsz1_seq2048"] = 1.0;
  CHECK_ERROR(read_computation(named(times), Case(kLlama).settings), "layertype_1_bsz1_seq2048",
              "several types of layers");
  CHECK_ERROR(Case(kLlama, {"layers=[12, 12]"}), "search.layers", "expected one number of layers, found 2");
}

TEST_CASE("machine profiles with zero bandwidths, odd keys or too few sizes are refused") {
  const JsonFile reduce = named({{"allreduce_size_2_consec_1", 100.0}}), send = named({{"pp_size_2", 100.0}});
  const JsonFile overlap = named({{"overlap_coe", 1.2}});
  Json latencies;
  for (int size = 1; size <= 128; size *= 2) latencies["allreduce_size_2_" + std::to_string(size) + "MB_time"] = size;
  CHECK(read_hardware(reduce, send, overlap, named(latencies), 2).all_gather(2)(4) == 2);
  CHECK_ERROR(read_hardware(named({{"allreduce_size_2_consec_1", 0}}), send, overlap, named(latencies), 2),
              "allreduce_size_2_consec_1", "more than 0");
  CHECK_ERROR(read_hardware(reduce, send, overlap, named(latencies), 4), "allreduce_size_4_consec_1", "not there");
  CHECK_ERROR(read_hardware(reduce, send, named({{"overlap_coe", 0.9}}), named(latencies), 2), "overlap_coe",
              "at least 1");
  CHECK_ERROR(read_hardware(reduce, named({{"pp_size_2", -3}}), overlap, named(latencies), 2), "pp_size_2",
              "more than 0");
  latencies.erase("allreduce_size_2_64MB_time");
  CHECK_ERROR(read_hardware(reduce, send, overlap, named(latencies), 2), "allreduce_size_2_*MB_time",
              "7 sizes, at least 8");
  CHECK_ERROR(read_hardware(reduce, send, overlap, named({{"allreduce_size_2_time", 1.0}}), 2), "allreduce_size_2_time",
              "expected a key like");
}

TEST_CASE("settings that make no sense are refused by key") {
  CHECK_ERROR(Case(kLlama, {"memory=0GiB"}), "search.memory", "at least");
  CHECK_ERROR(Case(kLlama, {"memory=12KiB"}), "search.memory", "at least 1 MiB");
  CHECK_ERROR(Case(kLlama, {"gpus=6"}), "search.gpus", "no power of two");
  CHECK_ERROR(Case(kLlama, {"batch=0"}), "search.batch", "at least 1");
  CHECK_ERROR(Case(kLlama, {"layers=0"}), "search.layers", "at least 1");
  CHECK_ERROR(Case(kLlama, {"time_mode=hybrid"}), "search.time_mode", "static or batch or sequence");
  CHECK_ERROR(Case(kLlama, {"disable=[tpp]"}), "search.disable", "did you mean 'tp'");
  CHECK_ERROR(Case(kLlama, {"memori=1GiB"}), "search.memori", "unknown");
  CHECK_ERROR(Case(kFixture, {"sequence_parallel=off"}), "search.memory_mode", "needs sequence_parallel");
  CHECK_ERROR(Case(kLlama, {"profiles=nowhere"}), "search.profiles", "there is no folder");
  CHECK_ERROR(Case(kLlama, {"gpus=16"}), "allreduce_bandwidth_1nodes_16gpus_per_node.json",
              "allreduce_bandwidth_1nodes_8gpus_per_node.json");
}

TEST_CASE("files are found by their names; several or none are told") {
  testing::TemporaryFolder folder;
  Settings s = Case(kLlama).settings;
  s.profiles = folder.path();
  const auto make = [&](const std::string& name) { std::ofstream(folder.path() / name) << "{}"; };
  CHECK_ERROR(find_computation(s), "no file computation_profiling_bf16_*.json",
              "has no computation_profiling*.json at all");
  make("computation_profiling_fp32_a.json");
  CHECK_ERROR(find_computation(s), "no file computation_profiling_bf16_*.json",
              "found: computation_profiling_fp32_a.json");
  make("computation_profiling_bf16_a.json");
  CHECK(find_computation(s).filename() == "computation_profiling_bf16_a.json");
  make("computation_profiling_bf16_a_all.json");
  CHECK(find_computation(s).filename() == "computation_profiling_bf16_a_all.json");
  make("computation_profiling_bf16_b_all.json");
  CHECK_ERROR(find_computation(s), "several files",
              "computation_profiling_bf16_a_all.json, computation_profiling_bf16_b_all.json");
  s.model = "b";
  CHECK(find_computation(s).filename() == "computation_profiling_bf16_b_all.json");
  make("computation_profiling_bf16_b_seqlen4096_all.json");
  CHECK(find_computation(s).filename() == "computation_profiling_bf16_b_all.json");
  s.model = "c";
  CHECK_ERROR(find_computation(s), "and model 'c'", "found:");
}

}  // namespace
}  // namespace trellis::galvatron
