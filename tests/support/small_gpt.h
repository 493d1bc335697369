// A small GPT of the family plugin and plans of it, for tests of costs and searches.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/plugins.h"
#include "trellis/plan/cost.h"

namespace trellis::test {

inline ModelSpec small_gpt(int blocks = 4) {
  return family("gpt")->describe(Options::from_text(
      "shape: gpt2\nhidden: 64\nheads: 4\nvocab: 256\nsequence: 32\nlayers: " + std::to_string(blocks) + "\n",
      "small gpt"));
}

// Outlives whatever is compiled with it.
inline std::shared_ptr<const OpLibrary> op_library() {
  static const auto library = std::make_shared<const OpLibrary>();
  return library;
}

inline Strategy strategy(const std::string& yaml) {
  return read_strategy(Options::from_text(yaml, "strategy"), dimensions());
}

inline Plan uniform(const ModelSpec& model, std::vector<int> atoms, const Strategy& all, int stages = 1,
                    int micro_batches = 1, std::int64_t batch = 8) {
  Plan plan{.batch = batch, .micro_batches = micro_batches, .atoms = std::move(atoms)};
  plan.devices = plan.line().size() * stages;
  plan.stages = even_stages(static_cast<int>(model.layers.size()), stages);
  plan.layers.assign(model.layers.size(), all);
  return plan;
}

// A device of 1 TFLOP/s and 100 GB/s, links of 10 us and 10 GB/s.
inline Cluster plain_cluster(int devices_per_node = 8) {
  Cluster cluster;
  cluster.name = "plain";
  cluster.devices_per_node = devices_per_node;
  cluster.memory = 16_GiB;
  cluster.flops = {{"f32", 1e12}, {"bf16", 2e12}, {"f64", 5e11}};
  cluster.efficiency = 1;
  cluster.memory_bandwidth = 100e9;
  cluster.inside = {10_us, 10e9};
  cluster.between = {100_us, 1e9};
  return cluster;
}

inline std::shared_ptr<const Prices> plain_prices(int devices_per_node = 8) {
  return std::make_shared<const Prices>(plain_cluster(devices_per_node), std::nullopt, op_library());
}

}  // namespace trellis::test
