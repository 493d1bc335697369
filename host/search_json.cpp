#include "host/search_json.h"

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
    if (result.feasible && *result.lower_bound > 0) json["gap"] = reached / *result.lower_bound - 1;
  }
  json["explored"] = result.explored;
  json["seconds"] = result.seconds;
  return json;
}

}  // namespace trellis::host
