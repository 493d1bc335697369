// What `trellis search --json` writes. The top-level keys are the same for every search (docs/formats.md).
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "trellis/plan/prediction.h"
#include "trellis/plan/units.h"

namespace trellis::host {

struct SearchResult {
  std::string status;                 // "infeasible" where nothing fits
  bool feasible = true;               // else throughput and step are written as null
  double throughput = 0;              // samples a second
  double step = 0;                    // seconds
  std::filesystem::path plan;         // empty: none was written
  std::vector<Bytes> memory;          // per stage
  std::optional<double> lower_bound;  // seconds a step, or seconds a sample where searches of several batches say so
  std::optional<double> bounded;      // what lower_bound bounds, in the same unit; the step where not given
  std::map<std::string, std::int64_t> explored;
  double seconds = 0;
};

// Times and rates are written so that they read back to the same bits: 17 digits at the most.
nlohmann::json to_json(const SearchResult&);

// interval_s, basis, memory_expected and memory_interval, for search and explain alike.
void add_intervals(nlohmann::json&, const Prediction&);

}  // namespace trellis::host
