// Costs of layers, edges and shared parameters, each worked out once, and of whole plans made of them.
#include <fmt/compile.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "plan/cost/layer_costs.h"
#include "plan/cost/layer_variants.h"
#include "plan/cost/memo.h"
#include "plan/placement/key_of_compute.h"
#include "plan/program/shared_derivation.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

// A layer under placements that differ only in the lives that they split.
struct Family {
  Family(std::shared_ptr<const LayerSpec> spec, const Placement& placement, const DeriveContext& context)
      : derivation(std::move(spec), placement, context), variants(derivation) {}

  Derivation derivation;
  std::mutex pricing;  // of a variant
  LayerVariants variants;
  int entry = 0, exit = 0;
  Memo<std::shared_ptr<const ComputePrices>, int> prices;  // by where stages lie in the nodes
  Memo<std::shared_ptr<const LayerProgram>> programs;      // of layers that share parameters
};

}  // namespace

struct Oracle::State {
  const ModelSpec& model;
  Dimensions dimensions;
  std::shared_ptr<const OpLibrary> ops;
  Dtype dtype;
  std::shared_ptr<const Prices> prices;
  Memo<std::shared_ptr<Family>> families;
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

  // Of a layer under a placement, of which `text` is a key.
  std::string key(int layer, const std::string& text, const Where& where) const {
    return fmt::format(FMT_COMPILE("{}|{}|{} {}"), reinterpret_cast<std::uintptr_t>(spec(layer).get()), text,
                       where.shapes.micro_batch, where.shapes.sequence_multiple);
  }
  std::shared_ptr<Family> family(int layer, const Placement& placement, const Where& where) {
    return families.get(key(layer, key_of_compute(placement), where), [&] {
      auto made = std::make_shared<Family>(spec(layer), placement, context(where));
      made->entry = crossings(entry_text(made->derivation.compute()));
      made->exit = crossings(exit_text(made->derivation.compute()));
      return made;
    });
  }
  // The layer as it is priced: in one stage of those that are alike.
  LayerCost cost(Family& family, const Placement& placement, const Where& where) const {
    const std::lock_guard lock(family.pricing);
    const StageProgram& alone = family.variants.under(placement);
    const std::shared_ptr<const ComputePrices> compute = family.prices.get(alignment(where), [&] {
      return std::make_shared<const ComputePrices>(compute_prices(alone, context(where), *prices, location(where)));
    });
    LayerCost cost = layer_cost(alone, *compute, context(where), *prices, location(where));
    cost.entry = family.entry, cost.exit = family.exit;
    return cost;
  }
};

Oracle::Oracle(const ModelSpec& model, Dimensions dimensions, std::shared_ptr<const OpLibrary> ops, Dtype dtype,
               std::shared_ptr<const Prices> prices)
    : state_(new State{.model = model,
                       .dimensions = std::move(dimensions),
                       .ops = std::move(ops),
                       .dtype = dtype,
                       .prices = std::move(prices),
                       .families = {},
                       .layers = {},
                       .edges = {},
                       .ties = {},
                       .least = {},
                       .crossings = {}}) {}
Oracle::~Oracle() = default;

LayerCost Oracle::layer(int layer, const Candidate& candidate, const Where& where) const {
  std::string key = state_->key(layer, candidate.placement.key(), where);
  if (const int alignment = state_->alignment(where); alignment != 0) key += fmt::format("@{}", alignment);
  return state_->layers.get(key, [&] {
    return state_->cost(*state_->family(layer, candidate.placement, where), candidate.placement, where);
  });
}

EdgeCost Oracle::edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  const auto before = state_->family(layer, from.placement, where), after = state_->family(layer + 1, to.placement, where);
  const std::string key = fmt::format(FMT_COMPILE("{} {} {} {}"), fmt::join(where.choice->atoms, ","), before->exit, after->entry,
                                      state_->alignment(where));
  return state_->edges.get(key, [&] {
    return edge_cost(before->derivation.compute(), after->derivation.compute(), state_->context(where), *state_->prices,
                     state_->location(where));
  });
}

EdgeCost Oracle::stage_edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  const auto before = state_->family(layer, from.placement, where), after = state_->family(layer + 1, to.placement, where);
  const int first = state_->location(where).first_device;
  const std::string key = fmt::format(FMT_COMPILE("{} {} {} stage at {}"), fmt::join(where.choice->atoms, ","), before->exit,
                                      after->entry, first % state_->prices->cluster().devices_per_node);
  return state_->edges.get(key, [&] {
    return stage_edge_cost(edge(layer, from, to, where), before->derivation.compute(), after->derivation.compute(), *state_->prices,
                           state_->location(where));
  });
}

TieCost Oracle::tie(int owner, const Candidate& first, int use, const Candidate& later, bool same_stage,
                    const Where& where) const {
  const std::string first_key = first.placement.key(), later_key = later.placement.key();
  const std::string key = fmt::format("{}~{}~{}", state_->key(owner, first_key, where),
                                      state_->key(use, later_key, where), same_stage);
  return state_->ties.get(key, [&] {
    const auto program = [&](int layer, const Placement& placement, const std::string& text) {
      const auto family = state_->family(layer, placement, where);
      return family->programs.get(
          text, [&] { return std::make_shared<const LayerProgram>(family->derivation.program(placement)); });
    };
    const auto a = program(owner, first.placement, first_key), b = program(use, later.placement, later_key);
    TieCost sum;
    for (const Bucket& bucket : b->buckets) {
      if (bucket.shared.empty()) continue;
      const TieCost one = tie_cost(*a, *b, bucket.shared, same_stage, state_->context(where), *state_->prices,
                                   state_->location(where));
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
