// What trellis explain tells beyond costs: what binds a plan, and what else there would be.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/planning.h"
#include "plan/cost/stage_run.h"

namespace trellis::host {

// What keeps a plan from being faster: memory, or else what its slowest stage does with the time of a step.
struct Binding {
  struct Stage {
    int stage = 0;
    Bytes memory{0}, budget{0};
    std::map<std::string, Bytes> purposes;
  };
  std::vector<Stage> full;  // stages within a few percent of their budget or over it, the fullest first
  Stage fullest;
  int slowest = 0;  // stage
  // Shares of the step: of the slowest stage, and what is left: waiting for other stages and the gradient norm.
  double computing = 0, communicating = 0, updating = 0, waiting = 0;
  // Shares of the step, which add up to `updating`: gradient reduction that nothing hides, the gather of updated
  // parameters, and the rest (optimizer, gradient norm, shared parameters).
  double reducing = 0, gathering = 0, optimizing = 0;
};
Binding binding_of(const Planning&, const Plan&, const StepReplay&);
void print(const Binding&);
nlohmann::json to_json(const Binding&);

// Asks `exact` for the runner-ups and the price of memory, prints the answers and returns them for machines. Changes
// the planning's batch to the plan's where the run file has none.
nlohmann::json what_if_of(Planning&, const Plan&);

}  // namespace trellis::host
