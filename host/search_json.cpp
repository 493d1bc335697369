#include "host/search_json.h"

#include <algorithm>

namespace trellis::host {

nlohmann::json to_json(const SearchResult& result) {
  nlohmann::json json;
  json["status"] = result.status;
  json["throughput"] = result.feasible ? nlohmann::json(result.throughput) : nlohmann::json();
  json["step_s"] = result.feasible ? nlohmann::json(result.step) : nlohmann::json();
  json["plan"] = result.plan.empty() ? nlohmann::json() : nlohmann::json(result.plan.string());
  json["memory"] = nlohmann::json::array();
  for (const Bytes bytes : result.memory) json["memory"].push_back(bytes.value);
  json["lower_bound"] = nlohmann::json();
  json["gap"] = nlohmann::json();
  if (result.lower_bound) {
    json["lower_bound"] = *result.lower_bound;
    const double reached = result.bounded.value_or(result.step);
    if (result.feasible && *result.lower_bound > 0) json["gap"] = std::max(0.0, reached / *result.lower_bound - 1);  // of rounding
  }
  json["explored"] = result.explored;
  json["seconds"] = result.seconds;
  return json;
}

void add_intervals(nlohmann::json& json, const Prediction& prediction) {
  json["interval_s"] = {to_seconds(prediction.low), to_seconds(prediction.high)};
  json["basis"] = name_of(prediction.basis);
  for (const MemoryInterval& memory : prediction.memory) {
    json["memory_expected"].push_back(memory.expected.value);
    json["memory_interval"].push_back({memory.low.value, memory.high.value});
  }
}

}  // namespace trellis::host
