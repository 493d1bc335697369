#include "bound.h"

#include <algorithm>

#include "reals.h"

namespace trellis::exact_search {

Weights plain_weights(const Task& task) {
  Weights weights;
  const double stages = task.stages();
  for (int s = 0; s < task.stages(); ++s)
    weights.push_back({.forward = 1 + task.stage(s).extra_forward / stages,
                       .backward = 1 + task.stage(s).extra_backward / stages,
                       .update = 1 / stages});
  reduce_beside(task, weights.front());
  return weights;
}

Weights chain_weights(const Task& task) {
  Weights weights(static_cast<std::size_t>(task.stages()), {.update = 1.0 / task.stages()});
  reduce_beside(task, weights.front());
  return weights;
}

void reduce_beside(const Task& task, StageWeights& first) {
  const double beyond = task.slowdown().beyond_one() / 1024.0;
  first.reduce = beyond, first.late = 1 - beyond;
}

void reduce_alone(const Task& task, StageWeights& first) {
  const double apart = 1 - task.slowdown().beyond_one() / 1024.0;
  first.backward -= apart, first.last = apart;
  first.reduce = 1, first.late = 0;
}

namespace {

// A weighted sum with these is below the one with the weights of any cut.
StageWeights least(const Weights& all) {
  StageWeights least = all.front();
  least.reduce = 0;
  for (const StageWeights& w : all) {
    least.forward = std::min(least.forward, w.forward);
    least.backward = std::min(least.backward, w.backward);
  }
  return least;
}

}  // namespace

Bound::Bound(const Task& task, const Weights& weights, Stages how, const std::vector<int>* ends)
    : task_(task), how_(how), ends_(ends) {
  if (how == Stages::one) stages_.push_back(StageWalk::over_all(task, least(weights)));
  else
    for (int s = 0; s < task.stages(); ++s) stages_.emplace_back(task, s, weights[static_cast<std::size_t>(s)]);
  table_.resize(static_cast<std::size_t>(task.layers()) * stages_.size());
  for (int i = task.layers() - 1; i >= 0; --i)
    for (int s = 0; s < static_cast<int>(stages_.size()); ++s)
      table_[static_cast<std::size_t>(i) * stages_.size() + static_cast<std::size_t>(s)] =
          possible(i, s) ? fill(i, s) : stage(s).nothing(i);
  // The first stage's last backward is rounded down, too.
  total_ = stage(0).begin(0, depth(0, 0), values(0, 0)) + real(task.overhead()) - (task.slowdown().beyond_one() > 0 ? 1 : 0);
}

Weights Bound::weights() const {
  Weights all;
  for (const StageWalk& walk : stages_) all.push_back(walk.weights());
  return all;
}

bool Bound::possible(int layer, int stage) const {
  if (layer < stage || task_.layers() - layer < static_cast<int>(stages_.size()) - stage) return false;
  if (how_ != Stages::given) return true;
  const auto s = static_cast<std::size_t>(stage);
  return layer <= (*ends_)[s] && (stage == 0 || layer > (*ends_)[s - 1]);
}
int Bound::depth(int layer, int stage) const {
  if (how_ == Stages::given) return (*ends_)[static_cast<std::size_t>(stage)] - layer;
  return stages_.size() == 1 ? task_.layers() - 1 - layer : MemoryPrice::kWithin;
}
bool Bound::may_stay(int layer, int stage) const { return layer + 1 < task_.layers() && possible(layer + 1, stage); }
bool Bound::may_leave(int layer, int stage) const {
  return stage + 1 < static_cast<int>(stages_.size()) && layer + 1 < task_.layers() && possible(layer + 1, stage + 1) &&
         (how_ != Stages::given || layer == (*ends_)[static_cast<std::size_t>(stage)]);
}

StageWalk::Values Bound::fill(int layer, int stage) const {
  const StageWalk& walk = this->stage(stage);
  StageWalk::Values best = walk.nothing(layer);
  if (layer + 1 == task_.layers() && stage + 1 == static_cast<int>(stages_.size())) walk.end(layer, best);
  if (may_stay(layer, stage)) walk.stay_all(layer, depth(layer, stage), values(layer + 1, stage), best);
  if (may_leave(layer, stage))
    walk.leave_all(layer, this->stage(stage + 1).begins(layer + 1, depth(layer + 1, stage + 1), values(layer + 1, stage + 1)), best);
  return best;
}

double additive_bound(const Task& task) {
  const Weights weights = plain_weights(task);
  double sum = real(task.overhead());
  std::vector<double> least(task.kinds().size(), kInfinite);
  for (std::size_t k = 0; k < task.kinds().size(); ++k) {
    const int i = task.kinds()[k].layer;
    double& mine = least[k];
    for (int o = 0; o < static_cast<int>(task.kind(i).options.size()); ++o) {
      for (int s = 0; s < task.stages(); ++s) {
        const LayerCost& c = task.cost(i, o, s);
        const StageWeights& w = weights[static_cast<std::size_t>(s)];
        mine =
            std::min(mine, w.forward * real(c.forward.busy) + w.backward * real(c.backward.busy) + w.update * real(c.update));
      }
    }
  }
  for (int i = 0; i < task.layers(); ++i) {
    sum += least[static_cast<std::size_t>(task.kind_number(i))];
    Picoseconds saved{0};
    for (int o = 0; o < static_cast<int>(task.kind(i).options.size()); ++o)
      saved = std::max(saved, task.most_saved(i, o).update);
    sum -= weights.front().update * real(saved);
  }
  return sum;
}

Choice Bound::path() const {
  Choice choice;
  int stage = 0, gather = 0, option = 0;
  double best = kInfinite;
  for (int o = 0; o < static_cast<int>(task_.kind(0).options.size()); ++o)
    if (const double sum = this->stage(0).node(0, depth(0, 0), o, true) + after(0, 0, 0, o); sum < best) best = sum, option = o;
  choice.options.push_back(option);
  for (int i = 0; i + 1 < task_.layers(); ++i) {
    const StageWalk& walk = this->stage(stage);
    int next = -1, next_stage = stage;
    best = kInfinite;
    const int mine = task_.kind(i).options[static_cast<std::size_t>(option)].gather;
    for (int to = 0; to < static_cast<int>(task_.kind(i + 1).options.size()); ++to) {
      if (may_stay(i, stage)) {
        const double sum =
            walk.stay(i, depth(i, stage), gather, option, to) + walk.node(i + 1, depth(i + 1, stage), to, false) + after(i + 1, stage, mine, to);
        if (sum < best) best = sum, next = to, next_stage = stage;
      }
      if (may_leave(i, stage)) {
        const double sum =
            walk.leave(i, gather, option, to) + this->stage(stage + 1).node(i + 1, depth(i + 1, stage + 1), to, true) + after(i + 1, stage + 1, 0, to);
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
