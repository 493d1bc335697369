#include "trellis/plan/whatif.h"

namespace trellis {

LayerCost MemoryOnly::layer(int layer, const Candidate& candidate, const Where& where) const {
  LayerCost cost = costs_.layer(layer, candidate, where);
  cost.forward = cost.backward = {};
  cost.reduce_each = cost.reduce_last = cost.update = {};
  return cost;
}

namespace {

EdgeCost without_times(EdgeCost cost) {
  cost.forward = cost.backward = cost.send_forward = cost.send_backward = {};
  return cost;
}

}  // namespace

EdgeCost MemoryOnly::edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  return without_times(costs_.edge(layer, from, to, where));
}

EdgeCost MemoryOnly::stage_edge(int layer, const Candidate& from, const Candidate& to, const Where& where) const {
  return without_times(costs_.stage_edge(layer, from, to, where));
}

TieCost MemoryOnly::tie(int owner, const Candidate& first, int use, const Candidate& later, bool same_stage,
                        const Where& where) const {
  TieCost cost = costs_.tie(owner, first, use, later, same_stage, where);
  cost.before = cost.after = cost.saved_update = {};
  return cost;
}

int MemoryOnly::alike(const GlobalChoice& choice, int stage) const { return costs_.alike(choice, stage); }

LeastBusy MemoryOnly::least_busy(int, const GlobalChoice&) const { return {}; }

// The whole step: a step of no time would have no rate.
Picoseconds MemoryOnly::step_overhead(const GlobalChoice&) const { return 1_ps; }

Slowdown MemoryOnly::slowdown() const { return {}; }

const PipelineSchedule& MemoryOnly::schedule(const GlobalChoice& choice) const { return costs_.schedule(choice); }

PlanCost MemoryOnly::step(const Plan& plan) const {
  PlanCost cost = costs_.step(plan);
  cost.step = step_overhead({});
  cost.samples_per_second = static_cast<double>(plan.batch) / to_seconds(cost.step);
  return cost;
}

}  // namespace trellis
