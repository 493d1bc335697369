// A search algorithm: finds a plan for a problem, asking only the oracle what things cost. Implemented by
// plugins/search/*; plugins/search/uniform is the tutorial.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/options.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/units.h"

namespace trellis {

// The choices that hold for a whole plan; a search goes over all of them.
struct GlobalChoice {
  std::int64_t batch = 1;
  int micro_batches = 1;
  std::vector<int> atoms;          // of one stage's line
  std::string schedule = "1f1b";
  int stages = 1;
};

struct Problem {
  const ModelSpec* model = nullptr;
  int devices = 1;
  Bytes budget{0};                          // per device, margin already taken off
  std::vector<GlobalChoice> choices;
  const Dimensions* dimensions = nullptr;
  // Candidates of a layer under a choice, in a fixed order; the same object for layers of one type.
  std::function<const std::vector<Candidate>&(int layer, const GlobalChoice&)> candidates;
};

struct LayerCost {
  Picoseconds forward{0}, backward{0};      // of one micro-batch
  Picoseconds update{0};                    // of one step: gradient reduction not hidden, optimizer, parameter gathers
  Bytes states{0};                          // parameters, gradients, optimizer
  Bytes kept{0};                            // activations alive from forward to backward of one micro-batch
  Bytes transient{0};                       // peak beyond states and kept
  Bytes pending{0};                         // staging of gradient reductions, from the last backward to the update
};
struct TransitionCost {
  Picoseconds forward{0}, backward{0};
};
struct PlanCost {
  Picoseconds step{0};
  std::vector<Bytes> memory;                // peak of one rank, per stage
  std::vector<std::map<std::string, Bytes>> purposes;  // per stage: parameter, gradient, optimizer, activation, ...
  double samples_per_second = 0;
};

// Const and thread-safe; answers are memoised.
class TRELLIS_API CostOracle {
 public:
  virtual ~CostOracle();
  virtual LayerCost layer(int layer, const Candidate&, const GlobalChoice&) const = 0;
  virtual TransitionCost transition(int layer, const Candidate& from, const Candidate& to, const GlobalChoice&) const = 0;
  virtual PlanCost step(const Plan&) const = 0;    // replays the schedule of the whole plan
};

// What a search tells while it works and at its end.
struct SearchLog {
  std::map<std::string, std::int64_t> counts;      // "plans priced", "labels", ...
  std::map<std::string, std::string> notes;
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

class TRELLIS_API SearchAlgorithm {
 public:
  virtual ~SearchAlgorithm();
  // Nothing where no plan fits; unknown options are rejected (options.finish()).
  virtual std::optional<Plan> solve(const Problem&, const CostOracle&, const Options&, SearchLog&) const = 0;
};

}  // namespace trellis
