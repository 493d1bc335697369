// What is said of a plan before it runs: step time and memory, each with an interval and what it rests on.
//
// The interval of the step is the same sum (step.h) with every duration at its lower end, and at its upper end: no
// duration makes a step shorter, so whatever the true durations in their intervals are, the step is in between. How far
// a figure may be off is uncertainty() of its basis (profile.h).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "trellis/plan/cost.h"
#include "trellis/plan/export.h"
#include "trellis/plan/profile.h"

namespace trellis {

struct MemoryInterval {
  Bytes low{0}, expected{0}, high{0};
};

// The share of a budget that has to stay free, so that no plan exceeds it at the upper end of its interval: a search
// counts no less than `expected`. At the most a half.
TRELLIS_API double least_margin(Bytes budget);

struct Prediction {
  PlanCost cost;                       // what searches compare
  Picoseconds low{0}, high{0};         // of cost.step
  Basis basis = Basis::measured;       // the weakest of all figures that went into it
  std::vector<MemoryInterval> memory;  // peak of one rank, per stage, by replaying its slots
};

// Error (infeasible) where a layer cannot be derived so.
TRELLIS_API Prediction predict(const Plan&, const ModelSpec&, const Dimensions&, std::shared_ptr<const OpLibrary>, Dtype,
                               const Cluster&, const std::optional<Profile>&);

// "412 ms a step (390 ms to 440 ms, measured here)"
TRELLIS_API std::string step_text(const Prediction&);

}  // namespace trellis
