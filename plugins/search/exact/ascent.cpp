#include "ascent.h"

#include <algorithm>
#include <cmath>

#include "bundle.h"
#include "reals.h"

namespace trellis::exact_search {
namespace {

// What a stage lacks at its places, or has left (then it is negative): those of MemoryPrice, by depth.
struct Places {
  std::vector<double> passes, last_backward;
};

// The same sums as StageTotal::memory, place by place.
Places lack_of(const Task& task, const Choice& plan, int stage, int first, int last) {
  const StageShape& shape = task.stage(stage);
  const auto option = [&](int i) { return plan.options[static_cast<std::size_t>(i)]; };
  const auto cost = [&](int i) -> const LayerCost& { return task.cost(i, option(i), stage); };
  Bytes states{0}, kept{0}, early{0};
  for (int i = first; i <= last; ++i) states += cost(i).states, kept += cost(i).kept, early += cost(i).early;
  const Bytes everywhere = states - shape.budget;
  const Bytes in_passes = everywhere + kept * (shape.in_flight - 1) + early;
  Places lack;
  Bytes pending{0};
  for (int i = last; i >= first; --i) {
    const LayerCost& c = cost(i);
    kept -= c.kept;
    Bytes around{0}, gathered{0}, edge{0};
    if (i > first) around += cost(i - 1).gathered;
    if (i < last) {
      around += cost(i + 1).held, gathered = cost(i + 1).gathered;
      edge = task.edge(i, option(i), option(i + 1), stage).bytes;
    }
    lack.passes.push_back(
        real(in_passes + kept + std::max({c.forward_peak + gathered, c.backward_peak + around, c.kept + edge})));
    lack.last_backward.push_back(real(everywhere + kept + pending + c.last_peak + around));
    pending += c.pending;
  }
  return lack;
}

// All places of all stages one after the other.
std::vector<double> lack_of(const Task& task, const Choice& plan) {
  std::vector<double> all;
  int first = 0;
  for (int s = 0; s < task.stages(); ++s) {
    const int last = plan.ends[static_cast<std::size_t>(s)];
    const Places lack = lack_of(task, plan, s, first, last);
    all.insert(all.end(), lack.passes.begin(), lack.passes.end());
    all.insert(all.end(), lack.last_backward.begin(), lack.last_backward.end());
    first = last + 1;
  }
  return all;
}

// Prices in that order, and back.
std::vector<double> prices_of(const Weights& weights, const std::vector<int>& ends) {
  std::vector<double> all;
  for (std::size_t s = 0; s < weights.size(); ++s) {
    const int count = ends[s] - (s == 0 ? -1 : ends[s - 1]);
    for (int d = 0; d < count; ++d) all.push_back(weights[s].memory.passes(d));
    for (int d = 0; d < count; ++d) all.push_back(weights[s].memory.last_backward(d));
  }
  return all;
}
void set_prices(Weights& weights, const std::vector<int>& ends, const std::vector<double>& all) {
  auto at = all.begin();
  for (std::size_t s = 0; s < weights.size(); ++s) {
    const int count = ends[s] - (s == 0 ? -1 : ends[s - 1]);
    weights[s].memory = MemoryPrice({at, at + count}, {at + count, at + 2 * count});
    at += 2 * count;
  }
}

}  // namespace

Ascent ascend(const Task& task, Weights weights, const std::vector<int>& ends, int steps, const SolvePrices& solve) {
  constexpr double kLeastRise = 2e-5;  // of the bound
  const std::vector<double> start = prices_of(weights, ends);
  double most = 0;
  for (const double price : start) most = std::max(most, price);
  Bundle bundle(start, most / 2);
  Ascent ascent;
  double highest = -kInfinite;
  for (int i = 0; i < steps; ++i) {
    set_prices(weights, ends, bundle.next());
    const std::shared_ptr<const Bound> bound = solve(weights);
    if (!bound) break;
    ascent.tried.push_back(bound);
    if (bound->total() > highest) {
      highest = bound->total();
      ascent.best.clear();
      for (const StageWeights& w : weights) ascent.best.push_back(w.memory);
    }
    const Choice path = bound->path();
    if (path.options.empty() || !bundle.learn(bound->total(), lack_of(task, path), kLeastRise * std::abs(highest))) break;
  }
  return ascent;
}

}  // namespace trellis::exact_search
