#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "trellis/plan/files.h"
#include "trellis/plan/profile.h"

using namespace trellis;

namespace {

std::set<std::string> presets() {
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator("configs/clusters")) names.insert(file.path().stem());
  return names;
}

std::string file_of(const std::string& name) { return "configs/clusters/" + name + ".yaml"; }

void check_between(double value, double least, double most) {
  CHECK(value >= least);
  CHECK(value <= most);
}

}  // namespace

TEST_CASE("there are presets from a CPU to a B200") {
  CHECK(presets() == std::set<std::string>{"2x24g-pcie", "a100-40g-pcie", "a100-80g", "b200-180g", "h100-80g",
                                           "h200-141g", "l4-24g", "this-cpu"});
}

TEST_CASE("every preset is read, and its figures are those of a machine that may exist") {
  for (const std::string& name : presets()) {
    CAPTURE(name);
    const Cluster cluster = read_cluster(Options::from_file(file_of(name)));
    CHECK(cluster.name == name);
    check_between(ratio(cluster.memory, 1_GiB), 1, 300);
    REQUIRE(cluster.flops.contains("f32"));
    REQUIRE(cluster.flops.contains("f64"));
    CHECK(cluster.flops.at("f32") > cluster.flops.at("f64"));
    check_between(cluster.efficiency, 0.3, 0.9);
    check_between(to_seconds(cluster.launch), 1e-6, 20e-6);
    check_between(cluster.slowdown, 1, 2);
    check_between(to_seconds(cluster.inside.latency), 5e-6, 200e-6);
    // Links are slower than memory, and what leaves a node is slower than what stays in it.
    CHECK(cluster.inside.bandwidth < cluster.memory_bandwidth);
    const int sharing = cluster.between.is_shared ? cluster.devices_per_node : 1;
    CHECK(cluster.between.bandwidth / sharing <= cluster.inside.bandwidth);
    CHECK(cluster.between.latency >= cluster.inside.latency);
    if (name == "this-cpu") continue;
    check_between(cluster.flops.at("bf16") / cluster.flops.at("f32"), 2, 30);
    // Operations to a byte from memory: from 100 to 500 on the cards of these years.
    check_between(cluster.flops.at("bf16") / cluster.memory_bandwidth, 100, 500);
  }
}

TEST_CASE("nodes with a network card for each device, and nodes with one for all") {
  for (const std::string& name : presets()) {
    CAPTURE(name);
    const Cluster cluster = read_cluster(Options::from_file(file_of(name)));
    CHECK_FALSE(cluster.inside.is_shared);
    CHECK(cluster.between.is_shared == std::set<std::string>{"2x24g-pcie", "a100-40g-pcie", "l4-24g"}.contains(name));
  }
  // Two nodes, 8 data-parallel groups across them, and one over all: what a card receives, in GB/s.
  const auto received = [](const std::string& name) {
    const Cluster cluster = read_cluster(Options::from_file(file_of(name)));
    const auto of = [&](const GroupShape& g) { return cluster.link(MoveKind::all_reduce, g).bandwidth / 1e9; };
    return std::pair(of({.ranks = 2, .nodes = 2, .per_node = 1, .siblings = 8}),
                     of({.ranks = 16, .nodes = 2, .per_node = 8, .siblings = 1}));
  };
  CHECK(received("a100-80g") == std::pair(22.0, 176.0));
  CHECK(received("h100-80g") == std::pair(45.0, 360.0));
  CHECK(received("a100-40g-pcie") == std::pair(2.75, 20.0));
  CHECK(received("l4-24g") == std::pair(1.2, 9.6));
}

TEST_CASE("every preset of a GPU names its vendor's document with its year, and the efficiency it assumes") {
  for (const std::string& name : presets()) {
    if (name == "this-cpu") continue;
    CAPTURE(name);
    const std::string text = read_file(file_of(name));
    CHECK(std::regex_search(text, std::regex("NVIDIA [^.:;]*(data sheet|paper|brief)[^.:;]*\\(20[0-9]{2}\\)")));
    CHECK(text.find("efficiency: 0.") < text.find("apiVersion"));
  }
}
