#include <doctest/doctest.h>

#include <fstream>

#include "cases.h"
#include "trellis/plan/files.h"

namespace trellis::galvatron {
namespace {

using doctest::Approx;

std::filesystem::path data(const std::string& file) { return testing::source_dir() / "configs/galvatron" / file; }

TEST_CASE("a line and a parabola through points are found") {
  const Line line = fit_line({{1, 2, 3, 4}, {5, 7, 9, 11}});
  CHECK(line.slope == Approx(2));
  CHECK(line.constant == Approx(3));
  const Parabola parabola = fit_parabola({{4096, 8192, 12288, 16384}, {1.5, 4, 7.5, 12}});  // (x/4096)^2/2 + x/4096
  CHECK(parabola(32768) == Approx(40));
  CHECK(fit_line({{1, 2, 3}, {1, 1, 4}})(2) == Approx(2));          // least squares
  CHECK(fit_line({{1, 2, 3}, {1e6, 2e6, 3e6}})(5) == Approx(5e6));  // far from where the reference's walk begins
  CHECK(fit_line({{1, 2, 3}, {1, 1, 1}})(9) == Approx(1));
}

TEST_CASE("fits are those of the reference's routine to the last digits") {
  const Case llama(kLlama), fixture(kFixture);
  CHECK(llama.profiles.computation.layer.line.slope == Approx(3.859016899462347).epsilon(1e-15));
  CHECK(llama.profiles.computation.layer.line.constant == Approx(0.8329851396156052).epsilon(1e-15));
  // Its tolerance shows in the ninth digit.
  CHECK(fixture.profiles.computation.layer.line.slope == Approx(26.015209769254486).epsilon(1e-14));
  CHECK(fixture.profiles.computation.vocabulary.line.slope == Approx(59.73722329820877).epsilon(1e-14));
}

TEST_CASE("layers derived from raw memory runs are those that the reference's profiler wrote") {
  const Case llama(kLlama);
  const JsonFile published = JsonFile::read(data("llama2-7b/memory_profiling_bf16_llama2-7b_all.json"));
  Json raw = published.root();
  for (const char* key :
       {"layertype_0_sp", "other_memory_pp_off_sp", "other_memory_pp_on_first_sp", "other_memory_pp_on_last_sp"})
    raw.erase(key);
  const JsonFile runs = JsonFile::parse(raw.dump(), "runs");
  const Json derived = with_derived_memory(runs, llama.settings);
  int compared = 0;
  for (const auto& [key, lengths] : published.root().items()) {
    if (raw.contains(key)) continue;
    const Json expected = lengths.flatten(), found = derived[key].flatten();
    for (const auto& [path, value] : expected.items()) {
      REQUIRE_MESSAGE(found.contains(path), key, path);
      CHECK_MESSAGE(found[path].get<double>() == Approx(value.get<double>()).epsilon(1e-12), key, path);
      ++compared;
    }
  }
  CHECK(compared == 30);
  // And the search finds the same with them.
  CHECK(read_memory(runs, llama.settings).whole.states.at(2) == Approx(2321.640625));
}

TEST_CASE("keys without brackets are read, too") {
  const Case llama(kLlama);
  for (const bool is_memory : {true, false}) {
    const std::string file = is_memory ? "memory" : "computation";
    std::string text = read_file(data("llama2-7b/" + file + "_profiling_bf16_llama2-7b_all.json"));
    std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
    Json raw = Json::parse(text);
    for (const char* key :
         {"layertype_0_sp", "other_memory_pp_off_sp", "other_memory_pp_on_first_sp", "other_memory_pp_on_last_sp"})
      raw.erase(key);
    for (int batch = 1; batch <= 12; ++batch)
      for (const char* type : {"0", "other"})
        raw.erase(std::string("layertype_") + type + "_bsz" + std::to_string(batch) + "_seq2048");
    const JsonFile runs = JsonFile::parse(raw.dump(), "runs");
    if (is_memory) {
      CHECK(read_memory(runs, llama.settings).activation.at(4) == Approx(llama.profiles.memory.activation.at(4)));
    } else {
      const ComputationProfile derived = read_computation(runs, llama.settings);
      CHECK(derived.layer(3) == Approx(llama.profiles.computation.layer(3)).epsilon(1e-9));
      CHECK(derived.vocabulary(3) == Approx(llama.profiles.computation.vocabulary(3)).epsilon(1e-9));
    }
  }
}

TEST_CASE("times are proportional to the samples, a line through batches, or fitted over lengths, by mode") {
  const auto time = [](std::vector<std::string> overrides, double samples) {
    return Case(kFixture, std::move(overrides)).profiles.computation.layer(samples);
  };
  const std::vector<std::string> at_4096 = {"sequence=4096", "memory_mode=static"};
  const auto with = [&](const char* mode) {
    return std::vector<std::string>{at_4096[0], at_4096[1], std::string("time_mode=") + mode};
  };
  CHECK(time(with("static"), 2) == Approx(2 * 11.219752883911134));
  CHECK(time(with("batch"), 8) == Approx(89.40997890356816).epsilon(1e-14));
  CHECK(time(with("sequence"), 1) == Approx(13.991425473416012).epsilon(1e-14));
}

TEST_CASE("memory by length scales activations from the longest length and takes parameters of the shortest") {
  const Case half(kFixture, {"sequence=2048"}), whole(kFixture);
  CHECK(half.profiles.memory.parameters == 973.771484375);
  CHECK(half.profiles.memory.activation.at(1) == Approx(2088.28955078125 / 4));
  CHECK(*half.profiles.memory.checkpoint == Approx(14));
  CHECK(half.profiles.memory.whole.activation.at(8) == Approx(685.9853515625 / 4));
  CHECK(half.profiles.memory.whole.states.at(8) == whole.profiles.memory.whole.states.at(8));
}

TEST_CASE("without sequence parallelism the profile made so is taken") {
  const Case c(kFixture, {"sequence=4096", "memory_mode=static", "sequence_parallel=off", "disable=[vocab_tp]"});
  CHECK(c.profiles.memory.activation.at(2) == 382.31298828125);
}

TEST_CASE("latencies are looked up, and a line between and beyond") {
  const Case c(kFixture);
  const LatencyTable& gathers = c.profiles.hardware.all_gather(8);
  CHECK(gathers(64) == Approx(0.6518999999999999 / 2));
  CHECK(gathers(2048) == Approx(8.21).epsilon(0.02));
  CHECK(c.profiles.hardware.all_reduce(8, false) == 1 / 160.445);  // all of them are consecutive
  CHECK(c.profiles.hardware.all_reduce(2, false) == 1 / 153.933);
  CHECK(c.profiles.hardware.all_reduce(1, true) == 0);
}

}  // namespace
}  // namespace trellis::galvatron
