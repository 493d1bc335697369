// What a plan costs: memory by replaying the lifetimes of its programs' slots, time by replaying its instructions and
// its schedule. The same programs run, so the figures are predictions of exactly what an executor does.
//
// Everything here is const and thread-safe unless said otherwise. Times are integer picoseconds, memory integer bytes.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/pins.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/profile.h"
#include "trellis/plan/program.h"
#include "trellis/plan/schedule.h"
#include "trellis/plan/search.h"

namespace trellis {

// --- memory ---

// Allocators hand out multiples of this.
inline constexpr std::int64_t kAllocationUnit = 64;
TRELLIS_API Bytes allocated(Bytes);  // rounded up; 0 stays 0

// The lives of a bucket that exist from start to end of a run. fp32 and fp64: the storage is the master copy.
struct BucketMemory {
  Bytes parameter{0};  // storage: whole, or a shard under ZeRO-3
  Bytes gradient{0};   // whole, or a shard under ZeRO-2 and 3
  Bytes optimizer{0};  // two moments, and under bf16 the fp32 master; a shard under ZeRO-1 to 3
  Bytes total() const { return parameter + gradient + optimizer; }
};
TRELLIS_API BucketMemory bucket_memory(const Bucket&, Dtype compute);
// What a bucket's gradient reduction holds from its start to its wait: a reduce-scatter receives the pieces of the
// others beside its result, an all-reduce beside the tensor.
TRELLIS_API Bytes reduction_staging(const Bucket&, Dtype compute);

struct MemoryReplay {
  Bytes peak{0};
  std::map<Purpose, Bytes> at_peak;  // what the peak consists of
  std::string where;                 // "backward of micro-batch 0, layer 3 attn.q"
  Bytes states{0};                   // BucketMemory of all buckets
  Bytes kept{0};                     // by the slots of a micro-batch right after its forward
  Bytes forward_peak{0}, backward_peak{0};  // the peaks while forward and backward actions run
};
// Replays one step of a stage: every allocation of one rank, in the order in which the executor makes them.
TRELLIS_API MemoryReplay replay_memory(const StageProgram&, const std::vector<Action>&, Dtype compute);

// --- time ---

// The action lists that a schedule's name means, from the dimension that brings it. Error with a suggestion.
TRELLIS_API const PipelineSchedule& find_schedule(const Dimensions&, std::string_view name);

// One layer as a stage of its own, without neighbors: what its costs are measured on.
TRELLIS_API StageProgram alone(const LayerProgram&);

struct StageCost {
  Picoseconds forward{0}, backward{0};  // of one micro-batch
  Picoseconds update{0};                // what follows the last backward
  Picoseconds exposed{0};               // of forward and backward: waiting for communication
  MemoryReplay memory;
};
struct DetailedCost {
  Picoseconds step{0};
  double samples_per_second = 0;
  std::vector<StageCost> stages;
};
TRELLIS_API DetailedCost price_plan(const CompiledPlan&, const PipelineSchedule&, const Prices&);

// What forward and backward of so many samples compute, on however many devices: each op once, nothing for checkpoints
// or padding.
TRELLIS_API Flops model_flops(const ModelSpec&, std::int64_t samples, Dtype, const OpLibrary&);

// What is sent alike in one micro-batch of one layer.
struct LayerTraffic {
  std::string what, because;  // "all_gather", "attn.q needs all of seq: heads are cut by tp"
  int ranks = 1, count = 0;
  Bytes bytes{0};       // that a rank receives, in all
  Picoseconds time{0};  // of all
};
// Layers side by side of one type, strategy and stage, as the finer replay has them.
struct LayerGroupCost {
  int first = 0, last = 0;  // layers
  int stage = 0;
  Picoseconds forward{0}, backward{0};  // of a layer and micro-batch, on average
  Picoseconds surplus{0};               // by which the last backward is longer, beside reductions
  bool is_alike = true;                 // all layers of the group take as long
  Bytes states{0};                      // of a layer
  std::vector<LayerTraffic> traffic;
};
TRELLIS_API std::vector<LayerGroupCost> layer_group_costs(const CompiledPlan&, const ModelSpec&, const PipelineSchedule&,
                                                          const Prices&);

// What a plan costs and why, for people: stages, then groups of equal layers with time, memory, communication and
// because of what it is there; or, with `program`, the instruction lists.
struct ExplainOptions {
  std::optional<int> layer;  // this one only
  bool program = false;
};
TRELLIS_API std::string explain(const CompiledPlan&, const ModelSpec&, const PipelineSchedule&, const Prices&,
                                const ExplainOptions& = {});
// "layers 1-12  block  tp 2, zero 2": a line for each run of equal layers.
TRELLIS_API std::string plan_table(const Plan&, const ModelSpec&);

// The oracle of a search: derives each layer's program once under each placement and prices it.
class TRELLIS_API Oracle final : public CostOracle {
 public:
  Oracle(const ModelSpec&, Dimensions, std::shared_ptr<const OpLibrary>, Dtype, std::shared_ptr<const Prices>);
  ~Oracle() override;
  LayerCost layer(int layer, const Candidate&, const Where&) const override;
  EdgeCost edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  EdgeCost stage_edge(int layer, const Candidate& from, const Candidate& to, const Where&) const override;
  TieCost tie(int owner, const Candidate&, int use, const Candidate&, bool same_stage, const Where&) const override;
  int alike(const GlobalChoice&, int stage) const override;
  LeastBusy least_busy(int layer, const GlobalChoice&) const override;
  Picoseconds step_overhead(const GlobalChoice&) const override;
  Slowdown slowdown() const override;
  const PipelineSchedule& schedule(const GlobalChoice&) const override;
  PlanCost step(const Plan&) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --- the space of a search ---

struct SpaceOptions {
  std::int64_t batch = 1;
  int devices = 1;
  int devices_in_node = 0;              // 0 = all
  Bytes budget{0};                      // of one device
  std::vector<Bytes> budgets;           // of each device, where they differ: then `budget` is not looked at
  std::vector<int> micro_batches;       // empty: all divisors of the batch
  std::vector<int> stages;              // empty: all divisors of `devices` up to the number of layers
  std::vector<std::string> schedules;   // empty: all that the dimensions bring
  std::vector<std::vector<int>> atoms;  // empty: all orders
  std::vector<std::int64_t> batches;    // to choose from; empty: `batch` alone
  Pins pins;                            // choices that they leave without a candidate are left out
  std::optional<Plan> start;            // a plan of the space to begin with
};
// Model and dimensions must outlive the problem. Dimensions of scope layer give the candidates. Error (bad_input) where
// the pins leave nothing.
TRELLIS_API Problem make_problem(const ModelSpec&, const Dimensions&, const SpaceOptions&);

// What a search minimizes: the time of a step by its samples, so that plans of different batches compare. Exact, so that
// plans of one batch compare as their steps do.
struct TRELLIS_API Score {
  Picoseconds step{0};
  std::int64_t batch = 1;
  // As long a step as with another batch would be as good; rounded down, at most half of what the type holds.
  Picoseconds step_of_batch(std::int64_t other) const;
  double seconds_per_sample() const { return to_seconds(step) / static_cast<double>(batch); }
};
TRELLIS_API std::strong_ordering operator<=>(const Score&, const Score&);
inline bool operator==(const Score& a, const Score& b) { return (a <=> b) == 0; }
inline Score score(const Plan& plan, const PlanCost& cost) { return {cost.step, plan.batch}; }

// The cost of a plan, or nothing where its layers cannot be derived so (a whole dim split, say).
TRELLIS_API std::optional<PlanCost> step_if_possible(const CostOracle&, const Plan&);

// What keeps a plan from being an answer to the problem (a layer whose strategy is no candidate, a choice that is not
// in the list, a stage over budget); empty where nothing does. A host asks this of every plan that a plugin returns.
TRELLIS_API std::string objection(const Problem&, const Plan&, const PlanCost&);

// The stage that has the least room between its memory and its budget; negative where it does not fit.
struct Room {
  int stage = 0;
  Bytes bytes{0};
};
TRELLIS_API Room least_room(const Problem&, const GlobalChoice&, const std::vector<Bytes>& memory);

// The plan that comes closest to fitting, or has the most room, as far as a quick look tells: of each choice the plan
// that takes the least memory in every layer.
struct LeastMemory {
  Bytes budget{0};  // the memory of its fullest stage
  Room room;
  Plan plan;
};
TRELLIS_API std::optional<LeastMemory> least_memory(const Problem&, const CostOracle&);

// One kernel to be measured: an instruction of a layer on its own.
struct Measurement {
  std::string key;  // compute_key()
  std::shared_ptr<const StageProgram> stage;
  Instruction instruction;
  DeriveContext context;
};
// Every distinct kernel that some candidate of the problem would run, by key. OpLibrary must outlive it.
TRELLIS_API std::vector<Measurement> measurements(const Problem&, const OpLibrary&, Dtype);

// Layers cut into stages: those between the first and the last evenly by number, these two on top.
TRELLIS_API std::vector<StageRange> even_stages(int layers, int stages);

}  // namespace trellis
