#include "stage_walk.h"

#include <algorithm>

#include "reals.h"

namespace trellis::exact_search {
namespace {

// best[i] = min(best[i], ahead[i] + weight * step[i])
void take_least(double* best, const double* ahead, double weight, const double* step, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const double sum = ahead[i] + weight * step[i];
    best[i] = sum < best[i] ? sum : best[i];
  }
}

// Where steps from `from` to `to` are in a table.
std::size_t entry(const Kind& kind, int from, const Kind::Classes& next, int to) {
  return static_cast<std::size_t>(next.of[static_cast<std::size_t>(to)]) * kind.leaving.first.size() +
         static_cast<std::size_t>(kind.leaving.of[static_cast<std::size_t>(from)]);
}

}  // namespace

StageWalk::StageWalk(const Task& task, int stage, const StageWeights& weights)
    : task_(task),
      stage_(stage),
      variant_(task.stage(stage).variant),
      in_flight_(task.stage(stage).in_flight),
      budget_(task.stage(stage).budget),
      weights_(weights) {}

StageWalk StageWalk::over_all(const Task& task, const StageWeights& weights) {
  StageWalk walk(task, 0, weights);
  walk.all_ = true;
  walk.variant_ = Steps::kLeast;
  walk.budget_ = Bytes{0};
  for (int s = 0; s < task.stages(); ++s) {
    walk.in_flight_ = std::min(walk.in_flight_, task.stage(s).in_flight);
    walk.budget_ += task.stage(s).budget;
  }
  return walk;
}

double StageWalk::node(int layer, int depth, int option, bool first) const {
  double least = kInfinite;
  if (!all_) least = node_of(task_.cost(layer, option, stage_), depth, first);
  else
    for (const LayerCost& c : task_.kind(layer).options[static_cast<std::size_t>(option)].costs)
      least = std::min(least, node_of(c, depth, first));
  // What it shares with an earlier layer may be counted there.
  const Saving saving = task_.most_saved(layer, option);
  return least - weights_.update * real(saving.update) - weights_.memory.total() * real(saving.states);
}

double StageWalk::node_of(const LayerCost& c, int depth, bool first) const {
  const MemoryPrice& price = weights_.memory;
  double sum = weights_.update * real(c.update) + weights_.reduce * real(c.reduce_last);
  sum += price.total() * real(c.states) + price.kept(depth, in_flight_) * real(c.kept) + price.early() * real(c.early) +
         price.last_behind(depth) * real(c.pending);
  if (first)
    sum += weights_.forward * real(c.forward.gather) + weights_.backward * real(c.reduce_each) +
           weights_.late * std::max(0.0, real(c.reduce_last - c.reduce_each)) - budget();
  return sum;
}

double StageWalk::stay(int layer, int depth, int gather, int from, int to) const {
  const StayTable& t = task_.steps().stay(layer, variant_);
  const std::size_t at = entry(task_.kind(layer), from, task_.kind(layer + 1).arriving, to);
  return weights_.forward * t.forward[at] + weights_.backward * t.backward[static_cast<std::size_t>(gather)][at] +
         peak(t.peaks, at, task_.steps().gathered_before(layer, gather), depth);
}

double StageWalk::leave(int layer, int gather, int from, int to) const {
  const Kind& kind = task_.kind(layer);
  const LeaveTable& t = to < 0 ? task_.steps().end(variant_) : leave_table(layer);
  const std::size_t at = to < 0 ? static_cast<std::size_t>(kind.leaving.of[static_cast<std::size_t>(from)])
                                : entry(kind, from, task_.kind(layer + 1).beginning, to);
  return weights_.forward * t.forward[at] +
         (weights_.backward + weights_.last) * t.backward[static_cast<std::size_t>(gather)][at] + t.sends[at] +
         peak(t.peaks, at, task_.steps().gathered_before(layer, gather), 0);
}

// What a layer has for a while, beside parameters that the one before it has gathered.
double StageWalk::peak(const PeakTable& peaks, std::size_t at, double gathered, int depth) const {
  return weights_.memory.passes(depth) * std::max(peaks.forward[at], peaks.backward[at] + gathered) +
         weights_.memory.last_backward(depth) * (peaks.last[at] + gathered);
}

// To each class of options from which a step begins, the steps to one of those where it ends.
void StageWalk::add_peaks(const PeakTable& peaks, std::size_t row, double gathered, int depth,
                          std::vector<double>& ahead) const {
  if (weights_.memory.passes(depth) == 0 && weights_.memory.last_backward(depth) == 0) return;
  for (std::size_t f = 0; f < ahead.size(); ++f) ahead[f] += peak(peaks, row + f, gathered, depth);
}

StageWalk::Values StageWalk::nothing(int layer) const {
  return Values(task_.gathers().size() * task_.kind(layer).leaving.first.size(), kInfinite);
}

void StageWalk::end(int layer, Values& best) const {
  const std::vector<int>& first = task_.kind(layer).leaving.first;
  for (const int gather : task_.steps().levels_before(layer))
    for (std::size_t c = 0; c < first.size(); ++c) {
      double& mine = best[static_cast<std::size_t>(gather) * first.size() + c];
      mine = std::min(mine, leave(layer, gather, first[c], -1));
    }
}

void StageWalk::stay_all(int layer, int depth, const Values& next_values, Values& best) const {
  const Kind &kind = task_.kind(layer), &next = task_.kind(layer + 1);
  const std::size_t from = kind.leaving.first.size(), to = next.arriving.first.size();
  std::vector<double> nodes(next.options.size()), values(next.options.size());
  for (std::size_t o = 0; o < nodes.size(); ++o) nodes[o] = node(layer + 1, depth - 1, static_cast<int>(o), false);
  std::vector<std::vector<double>> arriving(task_.gathers().size());  // [gather][arriving class]
  for (const int g : task_.steps().levels_before(layer + 1)) {
    for (std::size_t o = 0; o < nodes.size(); ++o)
      values[o] = nodes[o] + value(next_values, layer + 1, g, static_cast<int>(o));
    arriving[static_cast<std::size_t>(g)] = least_of(next.arriving, values);
  }
  const StayTable& steps = task_.steps().stay(layer, variant_);
  std::vector<double> ahead(from * to), row(from);
  for (std::size_t f = 0; f < from; ++f) {
    const Option& option = kind.options[static_cast<std::size_t>(kind.leaving.first[f])];
    const std::vector<double>& mine = arriving[static_cast<std::size_t>(option.gather)];
    for (std::size_t t = 0; t < to; ++t) ahead[t * from + f] = mine[t] + weights_.forward * steps.forward[t * from + f];
  }
  for (const int gather : task_.steps().levels_before(layer)) {
    const auto g = static_cast<std::size_t>(gather);
    for (std::size_t t = 0; t < to; ++t) {
      row.assign(ahead.begin() + static_cast<std::ptrdiff_t>(t * from), ahead.begin() + static_cast<std::ptrdiff_t>((t + 1) * from));
      add_peaks(steps.peaks, t * from, task_.steps().gathered_before(layer, gather), depth, row);
      take_least(&best[g * from], row.data(), weights_.backward, &steps.backward[g][t * from], from);
    }
  }
}

void StageWalk::leave_all(int layer, const std::vector<double>& beginning, Values& best) const {
  const std::size_t from = task_.kind(layer).leaving.first.size();
  const LeaveTable& steps = leave_table(layer);
  std::vector<double> ahead(from);
  for (std::size_t t = 0; t < beginning.size(); ++t) {
    for (const int gather : task_.steps().levels_before(layer)) {
      const auto g = static_cast<std::size_t>(gather);
      for (std::size_t f = 0; f < from; ++f)
        ahead[f] = beginning[t] + weights_.forward * steps.forward[t * from + f] + steps.sends[t * from + f];
      add_peaks(steps.peaks, t * from, task_.steps().gathered_before(layer, gather), 0, ahead);
      take_least(&best[g * from], ahead.data(), weights_.backward + weights_.last, &steps.backward[g][t * from], from);
    }
  }
}

double StageWalk::begin(int layer, int depth, const Values& values) const {
  double least = kInfinite;
  for (int o = 0; o < static_cast<int>(task_.kind(layer).options.size()); ++o)
    least = std::min(least, node(layer, depth, o, true) + value(values, layer, 0, o));
  return least;
}

std::vector<double> StageWalk::begins(int layer, int depth, const Values& values) const {
  const Kind& kind = task_.kind(layer);
  std::vector<double> all(kind.options.size());
  for (int o = 0; o < static_cast<int>(all.size()); ++o)
    all[static_cast<std::size_t>(o)] = node(layer, depth, o, true) + value(values, layer, 0, o);
  return least_of(kind.beginning, all);
}

std::vector<double> StageWalk::least_of(const Kind::Classes& classes, const std::vector<double>& values) {
  std::vector<double> least(classes.first.size(), kInfinite);
  for (std::size_t o = 0; o < values.size(); ++o) {
    double& mine = least[static_cast<std::size_t>(classes.of[o])];
    mine = std::min(mine, values[o]);
  }
  return least;
}

}  // namespace trellis::exact_search
