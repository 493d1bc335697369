// Stage sums, stage totals and the step of a plan. Everything is monotone: sums, maxima and mixes of them with weights
// that are not negative.
#include "trellis/plan/step.h"

#include <algorithm>
#include <cmath>

#include "plan/cost/timeline.h"

namespace trellis {

Slowdown::Slowdown(double factor) : beyond_(static_cast<int>(std::lround(1024 * (std::clamp(factor, 1.0, 2.0) - 1)))) {}

namespace {

// What one layer and the edge behind it add, now that its neighbors are known.
struct Segment {
  Picoseconds forward{0}, backward{0};
  Bytes peak{0}, last_peak{0};
};

Segment segment(const StageSum& before, const LayerCost& layer, const EdgeCost& edge, Picoseconds next_gather,
                Picoseconds next_reduction, Bytes next_gathered, Bytes next_held, Slowdown k) {
  Segment s;
  s.forward = k.overlap(layer.forward.busy + edge.forward, layer.forward.link + edge.forward, next_gather);
  s.backward = k.overlap(layer.backward.busy + edge.backward, layer.backward.link + edge.backward,
                         next_reduction + before.gather);
  const Bytes around = before.gathered + next_held;
  s.peak = before.kept +
           std::max({layer.forward_peak + next_gathered, layer.backward_peak + around, layer.kept + edge.kept + edge.bytes});
  s.last_peak = before.kept + layer.last_peak + around;
  return s;
}

}  // namespace

void StageSum::push(const LayerCost& next, const LayerCost* last, const EdgeCost* edge, Slowdown k) {
  if (last) {
    const Segment s = segment(*this, *last, *edge, next.forward.gather, next.reduce_each, next.gathered, next.held, k);
    forward += s.forward;
    backward += s.backward;
    // The layer's own reductions start when its backward has ended, behind those of the layers after it.
    reduced = s.backward + std::max(reduced, last->reduce_last + reducing);
    reducing += last->reduce_last;
    gather = last->backward.gather;
    peak = std::max(peak, s.peak);
    last_peak = std::max(last_peak + last->pending, s.last_peak);
    kept += last->kept + edge->kept;
    gathered = last->gathered;
  } else {
    // Nothing runs before the first gather, nor after the first layer's reduction.
    forward = next.forward.gather;
    backward = reduced = next.reduce_each;
  }
  ++layers;
  update += next.update;
  states += next.states;
  early += next.early;
  update_bytes += next.update_bytes;
}

StageTotal close(const StageSum& sum, const LayerCost& last, const EdgeCost* leaving, const EdgeCost* arriving,
                 Slowdown k) {
  static const EdgeCost none;
  const EdgeCost& edge = leaving ? *leaving : none;
  const Segment s = segment(sum, last, edge, {}, {}, {}, {}, k);
  StageTotal total;
  total.forward = sum.forward + s.forward;
  total.backward = sum.backward + s.backward + last.backward.gather;
  const Picoseconds reduced =
      last.backward.gather + s.backward + std::max(sum.reduced, last.reduce_last + sum.reducing);
  total.last_backward = k.mix(reduced, total.backward + sum.reducing + last.reduce_last);
  total.update = sum.update;
  total.send_forward = edge.send_forward;
  if (arriving) total.send_backward = arriving->send_backward;
  total.states = sum.states;
  total.kept = sum.kept + last.kept + edge.kept;
  // The newest two sends: one that may not have arrived, and one that has just begun.
  total.sent = 2 * std::max(edge.sent, arriving ? arriving->sent : Bytes{0});
  total.peak = std::max(sum.peak, s.peak);
  total.last_peak = std::max(sum.last_peak + last.pending, s.last_peak);
  total.early = sum.early;
  total.update_bytes = sum.update_bytes;
  return total;
}

Bytes StageTotal::memory(int in_flight) const {
  return states + std::max({kept * (in_flight - 1) + peak + early + sent, last_peak + sent, update_bytes});
}

void StageTotal::share(const TieCost& tie) {
  states -= tie.saved;
  update -= std::min(update, tie.saved_update);
  last_peak += tie.pending;
  early += tie.pending;
}

Picoseconds pipeline_time(const std::vector<StageTotal>& stages, const std::vector<std::vector<Action>>& actions) {
  std::vector<StageTimes> times;
  for (const StageTotal& s : stages)
    times.push_back({.forward = s.forward,
                     .backward = s.backward,
                     .last_backward = s.backward,
                     .backlog = {},
                     .send_forward = s.send_forward,
                     .send_backward = s.send_backward});
  std::vector<Picoseconds> ends = replay_schedule(times, actions);
  // What is left of the reductions keeps nobody waiting but the gradient norm.
  for (std::size_t s = 0; s < ends.size(); ++s)
    ends[s] += std::max(Picoseconds{0}, stages[s].last_backward - stages[s].backward);
  return *std::ranges::max_element(ends);
}

Picoseconds step_time(const std::vector<StageTotal>& stages, const std::vector<std::vector<Action>>& actions,
                      const std::vector<TieCost>& ties, Picoseconds overhead) {
  Picoseconds longest{0}, shared{0};
  for (const StageTotal& s : stages) longest = std::max(longest, s.update);
  for (const TieCost& tie : ties) shared += tie.before + tie.after;
  return pipeline_time(stages, actions) + shared + overhead + longest;
}

}  // namespace trellis
