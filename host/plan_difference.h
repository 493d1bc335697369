// What two plans differ in, as facts; verb_diff prints them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trellis/plan/plan_file.h"

namespace trellis::host {

using FromTo = std::pair<std::string, std::string>;

// Layers side by side whose strategies differ in the same way.
struct LayersDiffer {
  StageRange layers;
  std::map<std::string, FromTo> dimensions;  // {"tp", {"tp 2", "tp 4"}}; "-" is off
  FromTo strategies;                         // of the first of these layers, whole
};

struct PlanDifference {
  bool other_model = false;  // both plans say which model they were made for, and it is not the same
  std::vector<std::pair<std::string, FromTo>> global;  // batch, micro-batches, devices, stages, ...
  std::vector<LayersDiffer> layers;                    // of those that both plans have
  bool any() const { return !global.empty() || !layers.empty(); }
};

// Nothing where the plans are equal and for one model, whatever they were made by and were predicted to cost.
PlanDifference difference(const Plan& from, const Plan& to);

}  // namespace trellis::host
