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
  // What is certified of the answer: no plan of the problem is better than this.
  std::string status = "feasible";                 // "optimal, proven"; "within 0.8 %, proven"
  std::optional<double> lower_bound;               // seconds a step; with several batches, seconds a sample
};

class TRELLIS_API SearchAlgorithm {
 public:
  virtual ~SearchAlgorithm();
  // Nothing where no plan fits; unknown options are rejected (options.finish()).
  virtual std::optional<Plan> solve(const Problem&, const CostOracle&, const Options&, SearchLog&) const = 0;
  // Optional powers, asked for by id; nullptr where there is none.
  virtual const void* extension(std::string_view id) const;
};

// --- a search that brings its own model and costs: it needs neither a model in the run file nor an oracle ---

inline constexpr std::string_view kStandaloneSearch = "trellis.standalone_search/1";

struct StandaloneAnswer {
  std::string status;                        // "optimal, proven", "feasible", "infeasible"
  std::optional<Plan> plan;                  // nothing where none fits, or where Trellis has no words for it
  double step_seconds = 0, samples_per_second = 0;  // as the search predicts them; 0 where nothing fits
  std::vector<Bytes> memory;                 // per stage
  std::optional<double> lower_bound;         // seconds a step
  double seconds = 0;                        // that the search took
  std::map<std::string, std::int64_t> explored;
  std::vector<std::string> lines;            // the answer, for people
  std::map<std::string, std::string> values; // further facts, for machines and people ("sequence", "vtp")
  std::string document;                      // the plan in the format of the system it comes from; may be empty
};

class TRELLIS_API StandaloneSearch {
 public:
  virtual ~StandaloneSearch();
  // The answers by name: "" is the search's own, others ("exact") stand beside it. Unknown options are rejected.
  virtual std::map<std::string, StandaloneAnswer> solve(const Options&, SearchLog&) const = 0;
};

// --- a search that reads and writes another system's plan files ---

inline constexpr std::string_view kPlanFormat = "trellis.plan_format/1";

class TRELLIS_API PlanFormat {
 public:
  virtual ~PlanFormat();
  struct Imported {
    Plan plan;
    std::vector<std::string> lost;  // what Trellis cannot express, or what was not said and is assumed
  };
  // `name` stands in errors; Error (bad_input) where the text is not such a file.
  virtual Imported read(const std::string& text, const std::string& name) const = 0;
  struct Exported {
    std::string text;
    std::vector<std::string> lost;  // what the format cannot express
  };
  virtual Exported write(const Plan&) const = 0;
};

}  // namespace trellis
