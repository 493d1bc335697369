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
#include "trellis/plan/schedule.h"
#include "trellis/plan/step.h"
#include "trellis/plan/units.h"

namespace trellis {

// The choices that hold for a whole plan; a search goes over all of them.
struct GlobalChoice {
  std::int64_t batch = 1;
  int micro_batches = 1;
  std::vector<int> atoms;  // of one stage's line
  std::string schedule = "1f1b";
  int stages = 1;
  bool operator==(const GlobalChoice&) const = default;
};
TRELLIS_API GlobalChoice choice_of(const Plan&);
// A plan under this choice, whose stages and layers are still to be filled in.
TRELLIS_API Plan plan_under(const GlobalChoice&);

// The shapes that all layers of a plan decide together (docs/derivation.md, Edges).
struct SharedShapes {
  std::int64_t micro_batch = 1;        // samples, padded to a multiple of every layer's batch degree
  std::int64_t sequence_multiple = 1;  // every sequence dim is padded to a multiple of it
  auto operator<=>(const SharedShapes&) const = default;
};
// Of layers that are placed so. A multiple that pads nothing in the model counts as 1.
TRELLIS_API SharedShapes shared_shapes(const ModelSpec&, const GlobalChoice&, const std::vector<const Placement*>&);

// Whether some sequence of the model is no multiple of this.
TRELLIS_API bool pads_sequences(const ModelSpec&, std::int64_t multiple);

struct Problem {
  const ModelSpec* model = nullptr;
  int devices = 1;
  Bytes budget{0};             // of every device, margin already taken off; the least, where they differ
  std::vector<Bytes> budgets;  // of each device, where they differ; else empty
  std::vector<GlobalChoice> choices;
  const Dimensions* dimensions = nullptr;
  // Candidates of a layer under a choice, in a fixed order; the same object for layers of one type that are under the
  // same pins (search.fix, search.forbid).
  std::function<const std::vector<Candidate>&(int layer, const GlobalChoice&)> candidates;
  std::optional<Plan> start;  // search.start_from: a plan of the space to begin with

  // A stage has what its poorest device has.
  TRELLIS_API Bytes stage_budget(const GlobalChoice&, int stage) const;
  // The choice of a plan as it stands in `choices`; nullptr where it does not.
  TRELLIS_API const GlobalChoice* find_choice(const Plan&) const;
  // Whether every stage has a budget for its memory.
  TRELLIS_API bool fits(const GlobalChoice&, const std::vector<Bytes>& memory) const;
};

// Where a layer is asked for: the global choice, the shapes, and the stage (which matters where stages lie differently
// in the nodes of a cluster).
struct Where {
  const GlobalChoice* choice = nullptr;
  SharedShapes shapes;
  int stage = 0;
};

// Of one micro-batch through one layer.
struct LeastBusy {
  Picoseconds forward{0}, backward{0};
};

struct PlanCost {
  Picoseconds step{0};
  std::vector<Bytes> memory;                           // peak of one rank, per stage
  std::vector<std::map<std::string, Bytes>> purposes;  // per stage: states, activation (kept), transient; the rest
  double samples_per_second = 0;
};

// Const and thread-safe; answers are memoised. step() is made of the same layer(), edge() and tie() costs by step.h's
// arithmetic, so that a search can be exact about it.
class TRELLIS_API CostOracle {
 public:
  virtual ~CostOracle();
  // Error (infeasible) where the layer cannot be derived so.
  virtual LayerCost layer(int layer, const Candidate&, const Where&) const = 0;
  // Between `layer` and the one after it, in one stage.
  virtual EdgeCost edge(int layer, const Candidate& from, const Candidate& to, const Where&) const = 0;
  // The same where they are the last layer of stage `where.stage` and the first of the next.
  virtual EdgeCost stage_edge(int layer, const Candidate& from, const Candidate& to, const Where&) const = 0;
  // Layers that share a parameter (a tied table): the first that has it, and a later one.
  virtual TieCost tie(int owner, const Candidate&, int use, const Candidate&, bool same_stage, const Where&) const = 0;
  // A stage, the first such, whose layers cost the same as this one's.
  virtual int alike(const GlobalChoice&, int stage) const = 0;
  // No candidate of the layer computes faster; 0 where nothing is known.
  virtual LeastBusy least_busy(int layer, const GlobalChoice&) const = 0;
  // What a step has beside its layers: waiting for one another at the gradient norm.
  virtual Picoseconds step_overhead(const GlobalChoice&) const = 0;
  // Of computing and communicating while both go on; from 1 to 2.
  virtual Slowdown slowdown() const = 0;
  virtual const PipelineSchedule& schedule(const GlobalChoice&) const = 0;
  // Error (infeasible) where a layer cannot be derived so.
  virtual PlanCost step(const Plan&) const = 0;
};

// The cost of a plan by step.h, of layers with these candidates.
TRELLIS_API PlanCost composed_step(const CostOracle&, const ModelSpec&, const Plan&,
                                   const std::vector<const Candidate*>&);

// The layers that share a parameter: owner and later use.
struct SharedLayers {
  int owner = 0, use = 0;
  bool operator==(const SharedLayers&) const = default;
};
TRELLIS_API std::vector<SharedLayers> shared_layers(const ModelSpec&);

// What a search knows while it works.
struct SearchState {
  std::optional<Picoseconds> step;  // of the best plan that it has met; nothing: none yet
  Bytes memory{0};                  // of that plan's fullest stage
  std::optional<double> gap;        // no plan of the problem is faster by more than this share, as far as is proven
};

// What a search and whoever runs it tell one another while it works, and what it has to say at its end.
struct SearchLog {
  std::map<std::string, std::int64_t> counts;  // "plans priced", "labels", ...
  std::map<std::string, std::string> notes;
  std::function<void(const std::string&)> progress = [](const std::string&) {};
  // Whether the search is to end now with the best plan that it has, and what it has proven of that. Once true it stays
  // so. To be asked between pieces of work that may take more than a moment, by any thread.
  std::function<bool()> stopped = [] { return false; };
  // To be called where there is a better plan or a better bound, by the thread that called solve().
  std::function<void(const SearchState&)> known = [](const SearchState&) {};
  // What is certified of the answer: no plan of the problem is better than this.
  std::string status = "feasible";    // "optimal, proven"; "within 0.8 %, proven"
  std::optional<double> lower_bound;  // seconds a step; with several batches, seconds a sample
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
  std::string status;                               // "optimal, proven", "feasible", "infeasible"
  std::optional<Plan> plan;                         // nothing where none fits, or where Trellis has no words for it
  double step_seconds = 0, samples_per_second = 0;  // as the search predicts them; 0 where nothing fits
  std::vector<Bytes> memory;                        // per stage
  std::optional<double> lower_bound;                // seconds a step
  double seconds = 0;                               // that the search took
  std::map<std::string, std::int64_t> explored;
  std::vector<std::string> lines;             // the answer, for people
  std::map<std::string, std::string> values;  // further facts, for machines and people ("sequence", "vtp")
  std::string document;                       // the plan in the format of the system it comes from; may be empty
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
