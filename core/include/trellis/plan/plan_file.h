// A plan: how every layer of a model is spread over the devices. Made by a search, or by hand; an artefact in YAML.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/options.h"
#include "trellis/plan/parallelism.h"
#include "trellis/plan/program.h"
#include "trellis/plan/units.h"

namespace trellis {

// All settings of a layer, by dimension; dimensions that are off are absent.
using Strategy = std::map<std::string, Setting>;
TRELLIS_API std::string to_string(const Strategy&);  // "tp 2, zero 2, ckpt full"; "-" where all are off

struct StageRange {
  int first = 0, last = 0;  // layers, inclusive
  bool operator==(const StageRange&) const = default;
};

struct Predicted {
  Picoseconds step{0};
  std::vector<Bytes> memory;     // peak of one rank, per stage
  double samples_per_second = 0;
};

struct Plan {
  std::int64_t batch = 1;        // samples of a step, over all devices
  int micro_batches = 1;
  int devices = 1;
  std::vector<int> atoms;        // of one stage's line, outermost first
  std::string schedule = "1f1b";
  std::vector<StageRange> stages;
  std::vector<Strategy> layers;  // one per layer of the model
  std::map<std::string, std::string> made_by;
  std::optional<Predicted> predicted;

  DeviceLine line() const { return {atoms}; }
  bool operator==(const Plan& o) const {
    return batch == o.batch && micro_batches == o.micro_batches && devices == o.devices && atoms == o.atoms &&
           schedule == o.schedule && stages == o.stages && layers == o.layers;
  }
};

// Parallelism plugins by name, in the order of their traits.
using Dimensions = std::vector<std::shared_ptr<const Parallelism>>;

TRELLIS_API std::string to_yaml(const Plan&);
// Strict; marks errors. `layers` is the model's number of layers: the plan must cover all of them exactly once.
TRELLIS_API Plan read_plan(const Options&, const Dimensions&, int layers);
// Reads one layer's strategy ({tp: {degree: 2}, megatron_sp: on}), dimension names and options checked.
TRELLIS_API Strategy read_strategy(const Options&, const Dimensions&, const std::vector<std::string>& ignore = {});

// The placement that a strategy means on a line, or the reason why it cannot be.
struct Placed {
  std::optional<Placement> placement;
  std::string reason;
};
TRELLIS_API Placed place(const Strategy&, const LayerSpec&, const DeviceLine&, const Dimensions&);

// All distinct placements of a layer on a line, with the strategy that means each (the first one wins).
struct Candidate {
  Strategy strategy;
  Placement placement;
};
TRELLIS_API std::vector<Candidate> candidates(const LayerSpec&, const SpaceContext&, const Dimensions&);
// Of the strategies that `keep` accepts.
TRELLIS_API std::vector<Candidate> candidates(const LayerSpec&, const SpaceContext&, const Dimensions&,
                                              const std::function<bool(const Strategy&)>& keep);

// Samples in one micro-batch: ceil(batch / micro_batches) rounded up to a multiple of every layer's batch degree
// (docs/derivation.md, Edges), and the multiple that every sequence dim is padded to.
TRELLIS_API std::int64_t micro_batch_size(const Plan&, const std::vector<Placement>&);
TRELLIS_API std::int64_t sequence_multiple(const std::vector<Placement>&, const ModelSpec&);

// Everything that a plan means: placements and linked programs of all stages. Throws Error where it does not fit.
struct CompiledPlan {
  Plan plan;
  DeriveContext context;
  std::vector<Placement> placements;               // per layer
  std::vector<std::shared_ptr<const StageProgram>> stages;
};
TRELLIS_API CompiledPlan compile(const Plan&, const ModelSpec&, const Dimensions&, const OpLibrary&, Dtype);

}  // namespace trellis
