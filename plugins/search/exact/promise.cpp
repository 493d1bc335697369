#include "promise.h"

#include <algorithm>

#include "reals.h"

namespace trellis::exact_search {

double Promise::spent(const Label& label, int layer, int stage, const Bound& bound) const {
  const LayerCost& last = task_.cost(layer, label.option, stage);
  const StageWeights& w = bound.stage(stage).weights();
  double time = w.forward * real(label.sum.forward) + w.backward * real(label.sum.backward) +
                w.update * real(label.sum.update) + real(label.shared) + real(task_.overhead());
  for (int done = label.done, t = stage - 1; done >= 0; done = done_[static_cast<std::size_t>(done)].before, --t) {
    const StageTotal& total = done_[static_cast<std::size_t>(done)].total;
    const StageWeights& v = bound.stage(t).weights();
    time += v.forward * real(total.forward) + v.backward * real(total.backward) + v.update * real(total.update) +
            real(total.send_forward) + real(total.send_backward);
    if (t == 0) time += v.last * real(total.backward) + real(total.last_backward - total.backward);
  }
  if (stage == 0) {
    const Picoseconds late =
        label.sum.layers > 1 ? label.sum.reduced - label.sum.backward : last.reduce_last - last.reduce_each;
    time += w.reduce * real(label.sum.reducing + last.reduce_last) + w.late * std::max(0.0, real(late)) - 1;
  }
  return time - bound.stage(stage).budget() + memory(label, layer, stage, bound);
}

double Promise::memory(const Label& label, int layer, int stage, const Bound& bound) const {
  const LayerCost& last = task_.cost(layer, label.option, stage);
  const MemoryPrice& price = bound.stage(stage).weights().memory;
  const int depth = bound.depth(layer, stage);
  return price.total() * real(label.sum.states) +
         price.kept(depth, task_.stage(stage).in_flight) * real(label.sum.kept + last.kept) +
         price.early() * real(label.sum.early) + price.behind(depth) * real(label.sum.peak) +
         price.last_behind(depth) * real(label.sum.last_peak + last.pending);
}

Promise::Ends Promise::ends(int layer, int stage, bool first, const std::vector<bool>& may_have) const {
  const Kind& kind = task_.kind(layer);
  const auto count = static_cast<int>(kind.options.size());
  Ends ends;
  ends.classes = first ? &kind.beginning : &kind.arriving;
  ends.members.resize(ends.classes->first.size());
  for (int o = 0; o < count; ++o)
    if (may_have[static_cast<std::size_t>(o)])
      ends.members[static_cast<std::size_t>(ends.classes->of[static_cast<std::size_t>(o)])].push_back(o);
  const int gathers = first ? 1 : static_cast<int>(task_.gathers().size());
  for (const Bound* b : bounds_) {
    auto& values = ends.values.emplace_back();
    auto& least = ends.least.emplace_back();
    std::vector<double> nodes;
    for (int o = 0; o < count; ++o) nodes.push_back(b->stage(stage).node(layer, b->depth(layer, stage), o, first));
    for (int g = 0; g < gathers; ++g) {
      std::vector<double> all;
      for (int o = 0; o < count; ++o) all.push_back(nodes[static_cast<std::size_t>(o)] + b->after(layer, stage, g, o));
      least.push_back(StageWalk::least_of(*ends.classes, all));
      values.push_back(std::move(all));
    }
  }
  return ends;
}

}  // namespace trellis::exact_search
