#include "bound.h"

#include <algorithm>

#include "reals.h"

namespace trellis::exact_search {

Weights plain_weights(const Task& task) {
  Weights w;
  const double stages = task.stages();
  for (int s = 0; s < task.stages(); ++s) {
    w.forward.push_back(1 + task.stage(s).extra_forward / stages);
    w.backward.push_back(1 + task.stage(s).extra_backward / stages);
    w.memory.push_back(0);
  }
  w.update = 1 / stages;
  return w;
}

Weights chain_weights(const Task& task) {
  Weights w = plain_weights(task);
  for (double& f : w.forward) f = 1;
  for (double& b : w.backward) b = 1;
  return w;
}

namespace {

// A weighted sum with these is below the one with the weights of any cut.
Weights least(Weights w) {
  for (auto* all : {&w.forward, &w.backward}) *all = {*std::ranges::min_element(*all)};
  w.memory.resize(1);
  return w;
}

}  // namespace

Bound::Bound(const Task& task, Weights weights, Stages how, const std::vector<int>* ends)
    : task_(task),
      weights_(how == Stages::one ? least(weights) : std::move(weights)),
      how_(how),
      ends_(ends),
      stages_(how == Stages::one ? 1 : task.stages()),
      gathers_(static_cast<int>(task.gathers().size())),
      beyond_(task.slowdown().beyond_one() / 1024.0) {
  if (how == Stages::one) {
    in_flight_ = task.stage(0).in_flight;
    for (int s = 0; s < task.stages(); ++s) {
      in_flight_ = std::min(in_flight_, task.stage(s).in_flight);
      budget_ += task.stage(s).budget;
    }
  }
  for (const Kind& kind : task.kinds()) classes_ = std::max(classes_, static_cast<int>(kind.leaving.first.size()));
  table_.assign(static_cast<std::size_t>(task.layers()) * static_cast<std::size_t>(stages_) *
                    static_cast<std::size_t>(gathers_) * static_cast<std::size_t>(classes_),
                kInfinite);
  for (int i = task.layers() - 1; i >= 0; --i)
    for (int s = 0; s < stages_; ++s)
      if (possible(i, s)) fill(i, s);
  total_ = kInfinite;
  for (int o = 0; o < static_cast<int>(task.kind(0).options.size()); ++o)
    total_ = std::min(total_, node(0, 0, o, true) + after(0, 0, 0, o));
  total_ += real(task.overhead()) - (beyond_ > 0 ? 1 : 0);  // the first stage's last backward is rounded down, too
}

bool Bound::possible(int layer, int stage) const {
  if (layer < stage || task_.layers() - layer < stages_ - stage) return false;
  if (how_ != Stages::given) return true;
  const auto s = static_cast<std::size_t>(stage);
  return layer <= (*ends_)[s] && (stage == 0 || layer > (*ends_)[s - 1]);
}
bool Bound::may_stay(int layer, int stage) const { return layer + 1 < task_.layers() && possible(layer + 1, stage); }
bool Bound::may_leave(int layer, int stage) const {
  return stage + 1 < stages_ && layer + 1 < task_.layers() && possible(layer + 1, stage + 1) &&
         (how_ != Stages::given || layer == (*ends_)[static_cast<std::size_t>(stage)]);
}

// What pushing a layer adds at once.
double Bound::node(int layer, int stage, int option, bool first) const {
  double least = kInfinite;
  if (how_ != Stages::one) least = node_of(stage, task_.cost(layer, option, stage), first);
  else
    for (const LayerCost& c : task_.kind(layer).options[static_cast<std::size_t>(option)].costs)
      least = std::min(least, node_of(stage, c, first));
  // What it shares with an earlier layer may be counted there.
  const Saving saving = task_.most_saved(layer, option);
  return least - weights_.update * real(saving.update) -
         weights_.memory[static_cast<std::size_t>(stage)] * static_cast<double>(saving.states.value);
}

double Bound::node_of(int stage, const LayerCost& c, bool first) const {
  const auto s = static_cast<std::size_t>(stage);
  const bool one = how_ == Stages::one;
  const int in_flight = one ? in_flight_ : task_.stage(stage).in_flight;
  double sum =
      weights_.update * real(c.update) + weights_.memory[s] * static_cast<double>((c.states + c.kept * in_flight).value);
  // Reductions of the first stage end the step: they slow its backward, and the first layer's follow it.
  if (stage == 0 && !one) sum += beyond_ * real(c.reduce_last);
  if (first) {
    sum += weights_.forward[s] * real(c.forward.gather) + weights_.backward[s] * real(c.reduce_each) -
           memory_price(stage, one ? budget_ : task_.stage(stage).budget);
    if (stage == 0) sum += (1 - beyond_) * std::max(0.0, real(c.reduce_last - c.reduce_each));
  }
  return sum;
}

namespace {

std::size_t entry(const Kind& from_kind, int from, const Kind::Classes& next, int to) {
  return static_cast<std::size_t>(next.of[static_cast<std::size_t>(to)]) * from_kind.leaving.first.size() +
         static_cast<std::size_t>(from_kind.leaving.of[static_cast<std::size_t>(from)]);
}

}  // namespace

double Bound::stay(int layer, int stage, int gather, int from, int to) const {
  const StayTable& t = task_.steps().stay(layer, variant(stage));
  const std::size_t at = entry(task_.kind(layer), from, task_.kind(layer + 1).arriving, to);
  const auto s = static_cast<std::size_t>(stage);
  return weights_.forward[s] * t.forward[at] + weights_.backward[s] * t.backward[static_cast<std::size_t>(gather)][at];
}

double Bound::leave(int layer, int stage, int gather, int from, int to) const {
  const Kind& kind = task_.kind(layer);
  const LeaveTable& t = to < 0 ? task_.steps().end(variant(stage)) : task_.steps().leave(layer, stage, variant(stage));
  const std::size_t at = to < 0 ? static_cast<std::size_t>(kind.leaving.of[static_cast<std::size_t>(from)])
                                : entry(kind, from, task_.kind(layer + 1).beginning, to);
  const auto s = static_cast<std::size_t>(stage);
  return weights_.forward[s] * t.forward[at] + weights_.backward[s] * t.backward[static_cast<std::size_t>(gather)][at] +
         t.sends[at] + extra(layer, stage, from);
}

// The price of a stage's peak above its states and what is kept, if it ends here.
double Bound::extra(int layer, int stage, int from) const {
  if (how_ == Stages::one) return 0;
  return weights_.memory[static_cast<std::size_t>(stage)] *
         static_cast<double>(task_.last_extra(layer, from, stage).value);
}

// Of the options that a step cannot tell apart the best.
std::vector<double> Bound::least_of(const Kind::Classes& classes, const std::vector<double>& values) {
  std::vector<double> least(classes.first.size(), kInfinite);
  for (std::size_t o = 0; o < values.size(); ++o) {
    double& mine = least[static_cast<std::size_t>(classes.of[o])];
    mine = std::min(mine, values[o]);
  }
  return least;
}

void Bound::fill(int layer, int stage) {
  const Kind& kind = task_.kind(layer);
  const std::size_t classes = kind.leaving.first.size();
  std::vector<double> best(static_cast<std::size_t>(gathers_) * classes, kInfinite);  // [gather][leaving class]
  if (layer + 1 == task_.layers() && stage + 1 == stages_)
    for (const int gather : task_.steps().levels_before(layer))
      for (std::size_t c = 0; c < classes; ++c)
        best[static_cast<std::size_t>(gather) * classes + c] = leave(layer, stage, gather, kind.leaving.first[c], -1);
  if (may_stay(layer, stage)) stay_all(layer, stage, best);
  if (may_leave(layer, stage)) leave_all(layer, stage, best);
  for (int g = 0; g < gathers_; ++g)
    std::copy_n(best.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(g) * classes), classes,
                table_.begin() + static_cast<std::ptrdiff_t>(index(layer, stage, g, 0)));
}

namespace {

// best[i] = min(best[i], ahead[i] + weight * step[i])
void take_least(double* best, const double* ahead, double weight, const double* step, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const double sum = ahead[i] + weight * step[i];
    best[i] = sum < best[i] ? sum : best[i];
  }
}

}  // namespace

void Bound::stay_all(int layer, int stage, std::vector<double>& best) const {
  const Kind &kind = task_.kind(layer), &next = task_.kind(layer + 1);
  const std::size_t from = kind.leaving.first.size(), to = next.arriving.first.size();
  std::vector<double> nodes(next.options.size()), values(next.options.size());
  for (std::size_t o = 0; o < nodes.size(); ++o) nodes[o] = node(layer + 1, stage, static_cast<int>(o), false);
  std::vector<std::vector<double>> arriving(static_cast<std::size_t>(gathers_));  // [gather][arriving class]
  for (const int g : task_.steps().levels_before(layer + 1)) {
    for (std::size_t o = 0; o < nodes.size(); ++o) values[o] = nodes[o] + after(layer + 1, stage, g, static_cast<int>(o));
    arriving[static_cast<std::size_t>(g)] = least_of(next.arriving, values);
  }
  const StayTable& steps = task_.steps().stay(layer, variant(stage));
  const double forward = weights_.forward[static_cast<std::size_t>(stage)];
  const double backward = weights_.backward[static_cast<std::size_t>(stage)];
  std::vector<double> ahead(from * to);
  for (std::size_t f = 0; f < from; ++f) {
    const Option& option = kind.options[static_cast<std::size_t>(kind.leaving.first[f])];
    const std::vector<double>& mine = arriving[static_cast<std::size_t>(option.gather)];
    for (std::size_t t = 0; t < to; ++t) ahead[t * from + f] = mine[t] + forward * steps.forward[t * from + f];
  }
  for (const int gather : task_.steps().levels_before(layer)) {
    const auto g = static_cast<std::size_t>(gather);
    for (std::size_t t = 0; t < to; ++t)
      take_least(&best[g * from], &ahead[t * from], backward, &steps.backward[g][t * from], from);
  }
}

void Bound::leave_all(int layer, int stage, std::vector<double>& best) const {
  const Kind &kind = task_.kind(layer), &next = task_.kind(layer + 1);
  const std::size_t from = kind.leaving.first.size();
  std::vector<double> values(next.options.size());
  for (int o = 0; o < static_cast<int>(values.size()); ++o)
    values[static_cast<std::size_t>(o)] = node(layer + 1, stage + 1, o, true) + after(layer + 1, stage + 1, 0, o);
  const std::vector<double> beginning = least_of(next.beginning, values);
  const LeaveTable& steps = task_.steps().leave(layer, stage, variant(stage));
  const double forward = weights_.forward[static_cast<std::size_t>(stage)];
  const double backward = weights_.backward[static_cast<std::size_t>(stage)];
  std::vector<double> ahead(from), extras(from);
  for (std::size_t f = 0; f < from; ++f) extras[f] = extra(layer, stage, kind.leaving.first[f]);
  for (std::size_t t = 0; t < beginning.size(); ++t) {
    for (std::size_t f = 0; f < from; ++f)
      ahead[f] = beginning[t] + forward * steps.forward[t * from + f] + steps.sends[t * from + f] + extras[f];
    for (const int gather : task_.steps().levels_before(layer)) {
      const auto g = static_cast<std::size_t>(gather);
      take_least(&best[g * from], ahead.data(), backward, &steps.backward[g][t * from], from);
    }
  }
}

double additive_bound(const Task& task) {
  const Weights w = plain_weights(task);
  double sum = real(task.overhead());
  std::vector<double> least(task.kinds().size(), kInfinite);
  for (std::size_t k = 0; k < task.kinds().size(); ++k) {
    const int i = task.kinds()[k].layer;
    double& mine = least[k];
    for (int o = 0; o < static_cast<int>(task.kind(i).options.size()); ++o) {
      for (int s = 0; s < task.stages(); ++s) {
        const LayerCost& c = task.cost(i, o, s);
        mine =
            std::min(mine, w.forward[static_cast<std::size_t>(s)] * real(c.forward.busy) +
                               w.backward[static_cast<std::size_t>(s)] * real(c.backward.busy) + w.update * real(c.update));
      }
    }
  }
  for (int i = 0; i < task.layers(); ++i) {
    sum += least[static_cast<std::size_t>(task.kind_number(i))];
    Picoseconds saved{0};
    for (int o = 0; o < static_cast<int>(task.kind(i).options.size()); ++o)
      saved = std::max(saved, task.most_saved(i, o).update);
    sum -= w.update * real(saved);
  }
  return sum;
}

Choice Bound::path() const {
  Choice choice;
  int stage = 0, gather = 0, option = 0;
  double best = kInfinite;
  for (int o = 0; o < static_cast<int>(task_.kind(0).options.size()); ++o)
    if (const double sum = node(0, 0, o, true) + after(0, 0, 0, o); sum < best) best = sum, option = o;
  choice.options.push_back(option);
  for (int i = 0; i + 1 < task_.layers(); ++i) {
    int next = -1, next_stage = stage;
    best = kInfinite;
    const int mine = task_.kind(i).options[static_cast<std::size_t>(option)].gather;
    for (int to = 0; to < static_cast<int>(task_.kind(i + 1).options.size()); ++to) {
      if (may_stay(i, stage)) {
        const double sum =
            stay(i, stage, gather, option, to) + node(i + 1, stage, to, false) + after(i + 1, stage, mine, to);
        if (sum < best) best = sum, next = to, next_stage = stage;
      }
      if (may_leave(i, stage)) {
        const double sum =
            leave(i, stage, gather, option, to) + node(i + 1, stage + 1, to, true) + after(i + 1, stage + 1, 0, to);
        if (sum < best) best = sum, next = to, next_stage = stage + 1;
      }
    }
    if (next < 0) return {};  // no plan
    if (next_stage != stage) choice.ends.push_back(i);
    gather = next_stage == stage ? mine : 0;
    stage = next_stage, option = next;
    choice.options.push_back(option);
  }
  choice.ends.push_back(task_.layers() - 1);
  return choice;
}

}  // namespace trellis::exact_search
