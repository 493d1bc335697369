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
  for (const Kind& kind : task.kinds()) options_ = std::max(options_, static_cast<int>(kind.options.size()));
  table_.assign(static_cast<std::size_t>(task.layers()) * static_cast<std::size_t>(stages_) *
                    static_cast<std::size_t>(gathers_) * static_cast<std::size_t>(options_),
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
  const LayerCost& c = task_.cost(layer, option, stage);
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
  // What it shares with an earlier layer may be counted there.
  const Saving saving = task_.most_saved(layer, option);
  return sum - weights_.update * real(saving.update) - weights_.memory[s] * static_cast<double>(saving.states.value);
}

double Bound::stay(int layer, int stage, int gather, int from, int to) const {
  const LayerCost &c = task_.cost(layer, from, stage), &n = task_.cost(layer + 1, to, stage);
  const EdgeCost& e = task_.edge(layer, from, to, stage);
  const auto s = static_cast<std::size_t>(stage);
  const double before = real(task_.gathers()[static_cast<std::size_t>(gather)]);
  return weights_.forward[s] *
             overlap(real(c.forward.busy + e.forward), real(c.forward.link + e.forward), real(n.forward.gather)) +
         weights_.backward[s] *
             overlap(real(c.backward.busy + e.backward), real(c.backward.link + e.backward), real(n.reduce_each) + before);
}

double Bound::leave(int layer, int stage, int gather, int from, int to) const {
  static const EdgeCost none;
  const LayerCost& c = task_.cost(layer, from, stage);
  const EdgeCost& e = to < 0 ? none : task_.stage_edge(layer, from, to, stage);
  const auto s = static_cast<std::size_t>(stage);
  const double before = real(task_.gathers()[static_cast<std::size_t>(gather)]);
  return weights_.forward[s] * real(c.forward.busy + e.forward) +
         weights_.backward[s] * (overlap(real(c.backward.busy + e.backward), real(c.backward.link + e.backward), before) +
                                 real(c.backward.gather)) +
         real(e.send_forward) + real(e.send_backward) +
         (how_ == Stages::one ? 0.0
                              : weights_.memory[s] * static_cast<double>(task_.last_extra(layer, from, stage).value));
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

// The levels that the layer before can have; none at the begin of a stage.
std::vector<int> Bound::gathers_before(int layer) const {
  std::vector<int> levels{0};
  if (layer == 0) return levels;
  for (const Option& o : task_.kind(layer - 1).options) levels.push_back(o.gather);
  std::ranges::sort(levels);
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

void Bound::fill(int layer, int stage) {
  const bool last = layer + 1 == task_.layers(), stays = may_stay(layer, stage), leaves = may_leave(layer, stage);
  const Kind& kind = task_.kind(layer);
  std::vector<std::vector<double>> staying(static_cast<std::size_t>(gathers_));  // by gather, by arriving class
  std::vector<double> leaving;                                                   // by beginning class
  if (!last) {
    const Kind& next = task_.kind(layer + 1);
    std::vector<double> nodes(next.options.size()), values(next.options.size());
    for (std::size_t to = 0; stays && to < nodes.size(); ++to)
      nodes[to] = node(layer + 1, stage, static_cast<int>(to), false);
    for (int g = 0; stays && g < gathers_; ++g) {
      for (std::size_t to = 0; to < nodes.size(); ++to)
        values[to] = nodes[to] + after(layer + 1, stage, g, static_cast<int>(to));
      staying[static_cast<std::size_t>(g)] = least_of(next.arriving, values);
    }
    if (leaves) {
      for (std::size_t to = 0; to < nodes.size(); ++to)
        values[to] = node(layer + 1, stage + 1, static_cast<int>(to), true) +
                     after(layer + 1, stage + 1, 0, static_cast<int>(to));
      leaving = least_of(next.beginning, values);
    }
  }
  for (const int from : kind.leaving.first)
    for (const int gather : gathers_before(layer)) {
      double best = last && stage + 1 == stages_ ? leave(layer, stage, gather, from, -1) : kInfinite;
      if (stays) {
        const auto& ahead = staying[static_cast<std::size_t>(kind.options[static_cast<std::size_t>(from)].gather)];
        const std::vector<int>& to = task_.kind(layer + 1).arriving.first;
        for (std::size_t c = 0; c < ahead.size(); ++c)
          if (ahead[c] < best) best = std::min(best, ahead[c] + stay(layer, stage, gather, from, to[c]));
      }
      for (std::size_t c = 0; c < leaving.size(); ++c)
        if (leaving[c] < best)
          best =
              std::min(best, leaving[c] + leave(layer, stage, gather, from, task_.kind(layer + 1).beginning.first[c]));
      table_[index(layer, stage, gather, from)] = best;
    }
  for (int from = 0; from < static_cast<int>(kind.options.size()); ++from) {
    const int first = kind.leaving.first[static_cast<std::size_t>(kind.leaving.of[static_cast<std::size_t>(from)])];
    for (int gather = 0; first != from && gather < gathers_; ++gather)
      table_[index(layer, stage, gather, from)] = table_[index(layer, stage, gather, first)];
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
