// Costs of layers, edges and shared parameters, each worked out once, and of whole plans made of them.
#include <fmt/format.h>

#include <algorithm>

#include "plan/cost/layer_costs.h"
#include "plan/cost/memo.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

using Program = std::shared_ptr<const LayerProgram>;

struct Derived {
  Program program;
  int entry = 0, exit = 0;
};

}  // namespace

struct Oracle::State {
  const ModelSpec& model;
  Dimensions dimensions;
  std::shared_ptr<const OpLibrary> ops;
  Dtype dtype;
  std::shared_ptr<const Prices> prices;
  Memo<Derived> programs;
  Memo<LayerCost> layers;
  Memo<EdgeCost> edges;
  Memo<TieCost> ties;
  Memo<LeastBusy> least;
  Interned crossings;

  const std::shared_ptr<const LayerSpec>& spec(int layer) const {
    return model.layers.at(static_cast<std::size_t>(layer));
  }
  static int width(const Where& where) { return DeviceLine{where.choice->atoms}.size(); }
  Location location(const Where& where) const { return {.first_device = where.stage * width(where)}; }

  // Stages that lie alike in the nodes have the same costs.
  int alignment(const Where& where) const {
    const int node = prices->cluster().devices_per_node, line = width(where);
    return node % line == 0 || line % node == 0 ? 0 : where.stage * line % node;
  }
  DeriveContext context(const Where& where) const { return context_of(where.shapes, *ops, dtype); }

  std::string key(int layer, const Candidate& candidate, const Where& where) const {
    return fmt::format("{}|{}|{} {}", static_cast<const void*>(spec(layer).get()), candidate.placement.key(),
                       where.shapes.micro_batch, where.shapes.sequence_multiple);
  }
  Derived derived(const std::string& key, int layer, const Candidate& candidate, const Where& where) {
    return programs.get(key, [&] {
      Derived made{std::make_shared<const LayerProgram>(derive(spec(layer), candidate.placement, context(where)))};
      made.entry = crossings(entry_text(*made.program));
      made.exit = crossings(exit_text(*made.program));
      return made;
    });
  }
};

Oracle::Oracle(const ModelSpec& model, Dimensions dimensions, std::shared_ptr<const OpLibrary> ops, Dtype dtype,
               std::shared_ptr<const Prices> prices)
    : state_(new State{.model = model,
                       .dimensions = std::move(dimensions),
                       .ops = std::move(ops),
                       .dtype = dtype,
                       .prices = std::move(prices),
                       .programs = {},
                       .layers = {},
                       .edges = {},
                       .ties = {},
                       .least = {},
                       .crossings = {}}) {}
Oracle::~Oracle() = default;

LayerCost Oracle::layer(int layer, const Candidate& candidate, const Where& where) const {
  const std::string key = state_->key(layer, candidate, where);
  const int alignment = state_->alignment(where);
  return state_->layers.get(alignment == 0 ? key : fmt::format("{}@{}", key, alignment), [&] {
    const Derived derived = state_->derived(key, layer, candidate, where);
    LayerCost cost = layer_cost(*derived.program, state_->context(where), *state_->prices, state_->location(where));
    cost.entry = derived.entry, cost.exit = derived.exit;
    return cost;
  });
}

EdgeCost Oracle::edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  const Derived before = state_->derived(state_->key(layer, from, where), layer, from, where);
  const Derived after = state_->derived(state_->key(layer + 1, to, where), layer + 1, to, where);
  const std::string key = fmt::format("{} {} {} {}", fmt::join(where.choice->atoms, ","), before.exit, after.entry,
                                      state_->alignment(where));
  return state_->edges.get(key, [&] {
    return edge_cost(*before.program, *after.program, state_->context(where), *state_->prices, state_->location(where));
  });
}

EdgeCost Oracle::stage_edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  const Derived before = state_->derived(state_->key(layer, from, where), layer, from, where);
  const Derived after = state_->derived(state_->key(layer + 1, to, where), layer + 1, to, where);
  const std::string key =
      fmt::format("{} {} {} stage {}", fmt::join(where.choice->atoms, ","), before.exit, after.entry, where.stage);
  return state_->edges.get(key, [&] {
    return stage_edge_cost(*before.program, *after.program, state_->context(where), *state_->prices,
                           state_->location(where));
  });
}

TieCost Oracle::tie(int owner, const Candidate& first, int use, const Candidate& later, bool same_stage,
                    const Where& where) const {
  const std::string first_key = state_->key(owner, first, where), later_key = state_->key(use, later, where);
  return state_->ties.get(fmt::format("{}~{}~{}", first_key, later_key, same_stage), [&] {
    TieCost sum;
    const Derived a = state_->derived(first_key, owner, first, where),
                  b = state_->derived(later_key, use, later, where);
    for (const Bucket& bucket : b.program->buckets) {
      if (bucket.shared.empty()) continue;
      const TieCost one = tie_cost(*a.program, *b.program, bucket.shared, same_stage, state_->context(where),
                                   *state_->prices, state_->location(where));
      sum.before += one.before, sum.after += one.after, sum.saved += one.saved;
      sum.saved_update += one.saved_update, sum.bytes = std::max(sum.bytes, one.bytes);
      sum.pending += one.pending;
    }
    return sum;
  });
}

int Oracle::alike(const GlobalChoice& choice, int stage) const {
  return state_->alignment({.choice = &choice, .shapes = {}, .stage = stage}) == 0 ? 0 : stage;
}

// What the layer computes on one device, at the rate that no kernel exceeds, spread evenly. Measured kernels may be
// faster than the description says.
LeastBusy Oracle::least_busy(int layer, const GlobalChoice& choice) const {
  if (state_->prices->profile()) return {};
  const std::string key = fmt::format("{} {}", static_cast<const void*>(state_->spec(layer).get()),
                                      (choice.batch + choice.micro_batches - 1) / choice.micro_batches);
  const LeastBusy whole = state_->least.get(key, [&] {
    const Placement alone{DeviceLine{}};
    const SharedShapes shapes = shared_shapes(state_->model, choice, {&alone});
    const LayerProgram program = derive(state_->spec(layer), alone, context_of(shapes, *state_->ops, state_->dtype));
    const auto time = [&](const Instructions& list) {
      Flops flops{0};
      for (const Instruction& i : list) flops += i.flops;
      return state_->prices->least_time(flops);
    };
    return LeastBusy{.forward = time(program.forward), .backward = time(program.backward)};
  });
  const int devices = DeviceLine{choice.atoms}.size();
  return {.forward = whole.forward / devices, .backward = whole.backward / devices};
}

Picoseconds Oracle::step_overhead(const GlobalChoice& choice) const {
  const DeviceLine all{{DeviceLine{choice.atoms}.size() * choice.stages}};
  return state_->prices->collective(MoveKind::all_reduce, Bytes{8}, all, whole_line(all), {});
}

Slowdown Oracle::slowdown() const { return Slowdown(state_->prices->slowdown()); }

const PipelineSchedule& Oracle::schedule(const GlobalChoice& choice) const {
  return find_schedule(state_->dimensions, choice.schedule);
}

PlanCost Oracle::step(const Plan& plan) const {
  std::vector<Candidate> placed;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    Placed one = place(plan.layers[i], *state_->model.layers.at(i), plan.line(), state_->dimensions);
    if (!one.placement) throw Error(ExitCode::infeasible, fmt::format("layer {}: {}", i, one.reason));
    placed.push_back({plan.layers[i], std::move(*one.placement)});
  }
  std::vector<const Candidate*> chosen;
  for (const Candidate& c : placed) chosen.push_back(&c);
  return composed_step(*this, state_->model, plan, chosen);
}

}  // namespace trellis
