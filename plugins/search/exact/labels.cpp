#include "labels.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <tuple>

#include "dominance.h"
#include "front.h"
#include "in_parallel.h"
#include "promise.h"
#include "reals.h"

namespace trellis::exact_search {
namespace {

class Labels {
 public:
  Labels(const Task& task, const std::vector<const Bound*>& bounds, Picoseconds known, const LabelLimit& limit)
      : task_(task), bounds_(bounds), limit_(limit), known_(known), stages_(task.stages()), promise_(task, bounds, done_), dominance_(task) {
    result_.lower_bound = kInfinite;
    if (limit.sketch) may_have_ = *limit.sketch;
    else
      for (const Kind& kind : task.kinds()) may_have_.emplace_back(kind.options.size(), true);
  }

  LabelResult run() {
    for (int o = 0; o < static_cast<int>(task_.kind(0).options.size()); ++o)
      if (may_have(0)[static_cast<std::size_t>(o)]) start(o);
    for (layer_ = 0; layer_ + 1 < task_.layers(); ++layer_) {
      settle();
      advance();
    }
    settle();
    finish();
    if (limit_.sketch) result_.lower_bound = 0;
    return std::move(result_);
  }

 private:
  using Layer = std::vector<std::vector<Label>>;  // by stage

  const std::vector<bool>& may_have(int layer) const {
    return may_have_[static_cast<std::size_t>(task_.kind_number(layer))];
  }
  Label& made(int stage) { return next_[static_cast<std::size_t>(stage)].emplace_back(); }

  void start(int option) {
    next_.resize(static_cast<std::size_t>(stages_));
    Label label;
    label.option = option;
    label.sum.push(task_.cost(0, option, 0), nullptr, nullptr, task_.slowdown());
    label.multiples = task_.joined(0, task_.kind(0).options[static_cast<std::size_t>(option)].shapes);
    note_shared(label, 0, 0, option);
    for (const Bound* b : bounds_)
      label.bound = std::max(label.bound, promise_.spent(label, 0, 0, *b) + b->after(0, 0, 0, option));
    if (hopeless(label.bound)) return void(++result_.bounded);
    if (fits(label, 0, 0)) made(0) = std::move(label);
  }

  bool hopeless(double bound) const { return bound * (1 - kRounding) >= real(known_); }

  bool fits(const Label& label, int layer, int stage) const {
    const StageTotal total =
        close(label.sum, task_.cost(layer, label.option, stage), nullptr, nullptr, task_.slowdown());
    return total.memory(task_.stage(stage).in_flight) <= task_.stage(stage).budget;
  }

  // Which options later layers have to know of: equal numbers, equal options and stages of all owners so far.
  void note_shared(Label& label, int layer, int stage, int option) {
    const auto& pairs = task_.shared();
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      if (pairs[p].owner == layer && (p == 0 || pairs[p - 1].owner != layer))
        label.owner =
            owners_.try_emplace({label.owner, option, stage}, static_cast<int>(owners_.size()) + 1).first->second;
    }
  }

  // The option and stage of a layer that a label has behind it.
  std::pair<int, int> option_of(const Label& label, int layer, int at, int stage) const {
    const Label* l = &label;
    int s = stage;
    for (int i = at; i > layer; --i) {
      s = l->from_stage;
      l = &extended(*l, i);
    }
    return {l->option, s};
  }
  // The label that one of layer `layer` extends.
  const Label& extended(const Label& label, int layer) const {
    return history_[static_cast<std::size_t>(layer) - 1][static_cast<std::size_t>(label.from_stage)]
                   [static_cast<std::size_t>(label.from)];
  }

  bool apply_ties(Label& label, int layer, int stage) {
    const auto& pairs = task_.shared();
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      if (pairs[p].use != layer) continue;
      const auto [option, owner_stage] = option_of(label, pairs[p].owner, layer, stage);
      const TieCost& tie = task_.tie(p, option, label.option, owner_stage == stage);
      label.sum.states -= tie.saved;
      label.sum.update -= std::min(label.sum.update, tie.saved_update);
      label.tie_pending += tie.pending;
      label.tie_bytes = std::max(label.tie_bytes, tie.bytes);
      label.shared += tie.before + tie.after;
      if (owner_stage == stage) continue;
      int done = label.done;
      for (int t = stage - 1; t > owner_stage; --t) done = done_[static_cast<std::size_t>(done)].before;
      if (done_[static_cast<std::size_t>(done)].total.states + tie.bytes > task_.stage(owner_stage).budget)
        return false;
    }
    return true;
  }

  StageTotal closed(const Label& label, int layer, int stage, const EdgeCost* leaving) const {
    StageTotal total =
        close(label.sum, task_.cost(layer, label.option, stage), leaving, label.arriving, task_.slowdown());
    total.last_peak += label.tie_pending;
    total.early += label.tie_pending;
    return total;
  }
  bool fits_closed(const StageTotal& total, const Label& label, int stage) const {
    return std::max(total.memory(task_.stage(stage).in_flight), total.states + label.tie_bytes) <=
           task_.stage(stage).budget;
  }

  void advance() {
    next_.assign(static_cast<std::size_t>(stages_), {});
    const int left = task_.layers() - 1 - layer_;
    for (int s = 0; s < stages_; ++s) {
      const auto& labels = history_.back()[static_cast<std::size_t>(s)];
      if (labels.empty()) continue;
      const bool stays = left >= stages_ - s, leaves = s + 1 < stages_ && left >= stages_ - 1 - s;
      Promise::Ends inside, beyond;
      if (stays) inside = promise_.ends(layer_ + 1, s, false, may_have(layer_ + 1));
      if (leaves) beyond = promise_.ends(layer_ + 1, s + 1, true, may_have(layer_ + 1));
      std::vector<double> behind(bounds_.size());
      for (std::size_t l = 0; l < labels.size(); ++l) {
        if (hopeless(labels[l].bound)) continue;
        if (out_of_time(asked_) && has_successor(s)) {
          give_up(labels[l]);
          continue;
        }
        for (std::size_t b = 0; b < behind.size(); ++b) behind[b] = promise_.spent(labels[l], layer_, s, *bounds_[b]);
        if (stays) step(labels[l], l, s, inside, false, behind);
        if (leaves) step(labels[l], l, s, beyond, true, behind);
      }
    }
  }

  // The best label of each stage is always taken further, so that even then some plan may come of it.
  bool has_successor(int stage) const {
    return !next_[static_cast<std::size_t>(stage)].empty() ||
           (stage + 1 < stages_ && !next_[static_cast<std::size_t>(stage) + 1].empty());
  }
  bool out_of_time(int& asked) {
    if (!late_ && ++asked % kPatience == 0 && limit_.out_of_time()) late_ = true;
    return late_;
  }
  void give_up(const Label& label) {
    result_.lower_bound = std::min(result_.lower_bound, label.bound * (1 - kRounding));
  }

  // To every option that is not hopeless, of which whole classes are at once.
  void step(const Label& label, std::size_t index, int stage, const Promise::Ends& ends, bool leaves,
            const std::vector<double>& behind) {
    const auto mine =
        leaves ? 0
               : static_cast<std::size_t>(task_.kind(layer_).options[static_cast<std::size_t>(label.option)].gather);
    std::vector<double>& here = here_;
    for (std::size_t c = 0; c < ends.members.size(); ++c) {
      bool all = ends.members[c].empty();
      for (std::size_t b = 0; b < bounds_.size() && !all; ++b) {
        const int to = ends.classes->first[c];
        here[b] = behind[b] + (leaves ? bounds_[b]->stage(stage).leave(layer_, label.gather, label.option, to)
                                      : bounds_[b]->stage(stage).stay(layer_, bounds_[b]->depth(layer_, stage), label.gather, label.option, to));
        all = hopeless(here[b] + ends.least[b][mine][c]);
      }
      if (all) {
        result_.bounded += static_cast<std::int64_t>(ends.members[c].size());
        continue;
      }
      for (const int to : ends.members[c]) {
        double bound = label.bound;
        for (std::size_t b = 0; b < bounds_.size(); ++b)
          bound = std::max(bound, here[b] + ends.values[b][mine][static_cast<std::size_t>(to)]);
        if (hopeless(bound)) ++result_.bounded;
        else if (leaves) leave(label, index, stage, to, bound);
        else extend(label, index, stage, to, bound);
      }
    }
  }

  Label successor(const Label& label, std::size_t index, int stage, int to) const {
    Label next;
    next.option = to;
    next.from_stage = stage, next.from = static_cast<int>(index);
    next.owner = label.owner, next.shared = label.shared;
    next.multiples = task_.joined(label.multiples, task_.kind(layer_ + 1).options[static_cast<std::size_t>(to)].shapes);
    return next;
  }

  void extend(const Label& label, std::size_t index, int stage, int to, double bound) {
    Label next = successor(label, index, stage, to);
    next.sum = label.sum;
    next.sum.push(task_.cost(layer_ + 1, to, stage), &task_.cost(layer_, label.option, stage),
                  &task_.edge(layer_, label.option, to, stage), task_.slowdown());
    next.gather = task_.kind(layer_).options[static_cast<std::size_t>(label.option)].gather;
    next.done = label.done, next.arriving = label.arriving;
    next.tie_pending = label.tie_pending, next.tie_bytes = label.tie_bytes;
    next.bound = bound;
    arrive(std::move(next), stage);
  }

  void leave(const Label& label, std::size_t index, int stage, int to, double bound) {
    const EdgeCost& edge = task_.stage_edge(layer_, label.option, to, stage);
    const StageTotal total = closed(label, layer_, stage, &edge);
    if (!fits_closed(total, label, stage)) return;
    Label next = successor(label, index, stage, to);
    next.sum.push(task_.cost(layer_ + 1, to, stage + 1), nullptr, nullptr, task_.slowdown());
    next.done = static_cast<int>(done_.size()), next.arriving = &edge;
    done_.push_back({total, label.done});
    const std::size_t before = next_[static_cast<std::size_t>(stage) + 1].size();
    next.bound = bound;
    arrive(std::move(next), stage + 1);
    if (next_[static_cast<std::size_t>(stage) + 1].size() == before) done_.pop_back();
  }

  void arrive(Label next, int stage) {
    ++result_.labels;
    note_shared(next, layer_ + 1, stage, next.option);
    if (apply_ties(next, layer_ + 1, stage) && fits(next, layer_ + 1, stage)) made(stage) = std::move(next);
  }

  // What labels with one future have in common.
  using Key = std::tuple<int, int, int>;
  Key key(const Label& l) const {
    const int layer = static_cast<int>(history_.size());
    const int exit = task_.kind(layer).options[static_cast<std::size_t>(l.option)].costs.front().exit;
    return {l.owner, exit, task_.all_have_shapes() ? 0 : l.multiples};
  }

  // The labels of a layer become final: groups with one future, the most promising first.
  void settle() {
    std::int64_t alive = 0;
    for (int s = 0; s < stages_; ++s) {
      auto& labels = next_[static_cast<std::size_t>(s)];
      std::ranges::stable_sort(labels, {}, &Label::bound);
      std::map<Key, std::vector<std::size_t>> by_key;
      for (std::size_t l = 0; l < labels.size(); ++l) by_key[key(labels[l])].push_back(l);
      std::vector<const std::vector<std::size_t>*> groups;
      for (const auto& [key, group] : by_key) groups.push_back(&group);
      std::vector<Fate> fates(labels.size(), Fate::stays);
      if (limit_.sketch)
        for (const auto* group : groups) thin_out(labels, *group, s, fates);
      else if (labels.size() < kMany)
        for (const auto* group : groups) settle(labels, *group, fates);
      else in_parallel(groups.size(), [&](std::size_t g) { settle(labels, *groups[g], fates); });
      std::vector<Label> left;
      for (std::size_t l = 0; l < labels.size(); ++l) {
        if (fates[l] == Fate::stays) left.push_back(std::move(labels[l]));
        else if (fates[l] == Fate::dropped) give_up(labels[l]);
        else ++result_.dominated;
      }
      labels = std::move(left);
      alive += static_cast<std::int64_t>(labels.size());
    }
    cut_down(alive);
    history_.push_back(std::move(next_));
    next_.assign(static_cast<std::size_t>(stages_), {});
  }

  // Of labels with one future those that another one stands for.
  enum class Fate : char { stays, dominated, dropped };
  void settle(const std::vector<Label>& labels, const std::vector<std::size_t>& group, std::vector<Fate>& fates) {
    const int layer = static_cast<int>(history_.size());
    std::vector<Dominance::Numbers> numbers;
    for (const std::size_t l : group) numbers.push_back(dominance_.numbers(labels[l]));
    Front front(numbers);
    std::vector<std::size_t> left;
    int asked = 0;
    for (std::size_t k = 0; k < group.size(); ++k) {
      const std::size_t l = group[k];
      if (!left.empty() && out_of_time(asked)) {
        fates[l] = Fate::dropped;
        continue;
      }
      const Label& label = labels[l];
      const bool dominated = front.any_no_worse(numbers[k], [&](std::size_t member) {
        const Label& other = labels[left[member]];
        return task_.no_worse_to_come(layer, other.option, label.option) &&
               dominance_.no_worse_behind(other, label, done_);
      });
      if (dominated) fates[l] = Fate::dominated;
      else front.push(numbers[k]), left.push_back(l);
    }
  }

  // Of the labels with one future the most promising one for each share of the range of what their memory costs: a beam
  // of the most promising ones alone would all have spent their memory, or all have saved it.
  void thin_out(const std::vector<Label>& labels, const std::vector<std::size_t>& group, int stage,
                std::vector<Fate>& fates) const {
    const int layer = static_cast<int>(history_.size());
    std::vector<double> memory;
    for (const std::size_t l : group) memory.push_back(promise_.memory(labels[l], layer, stage, *bounds_.front()));
    const auto [least, most] = std::ranges::minmax(memory);
    std::vector<bool> taken(kShares);
    for (std::size_t k = 0; k < group.size(); ++k) {
      const auto share = static_cast<std::size_t>((memory[k] - least) / std::max(1.0, most - least) * (kShares - 1));
      if (taken[share]) fates[group[k]] = Fate::dropped;
      taken[share] = true;
    }
  }

  // Over the limit: the least promising go, and what they might have led to is remembered.
  void cut_down(std::int64_t alive) {
    const std::int64_t left = std::max<std::int64_t>(limit_.labels - result_.labels, 0);
    const int ahead = std::max(1, task_.layers() - static_cast<int>(history_.size()) - 1);
    const auto options = std::ranges::count(may_have(std::min(layer_ + 1, task_.layers() - 1)), true);
    std::int64_t most = std::max<std::int64_t>(1, left / std::max<std::int64_t>(1, ahead * options));
    if (late_) most = 1;
    if (alive <= most) return;
    std::vector<double> bounds;
    for (const auto& labels : next_)
      for (const Label& l : labels) bounds.push_back(l.bound);
    std::ranges::nth_element(bounds, bounds.begin() + most);
    const double worst = bounds[static_cast<std::size_t>(most)];
    for (auto& labels : next_)
      std::erase_if(labels, [&](const Label& l) {
        if (l.bound < worst) return false;
        give_up(l);
        return true;
      });
  }

  void finish() {
    const int last = task_.layers() - 1;
    const auto& labels = history_.back()[static_cast<std::size_t>(stages_) - 1];
    for (const Label& label : labels) {
      if (hopeless(label.bound)) continue;
      const Choice choice = choice_of(label, last);
      const PlanValue value = task_.value(choice);
      if (!value.fits || value.step >= known_) continue;
      known_ = value.step;
      result_.best = choice, result_.value = value;
    }
  }

  Choice choice_of(const Label& label, int last) const {
    Choice choice;
    choice.options.resize(static_cast<std::size_t>(last) + 1);
    choice.ends.resize(static_cast<std::size_t>(stages_));
    const Label* l = &label;
    int stage = stages_ - 1;
    choice.ends[static_cast<std::size_t>(stage)] = last;
    for (int i = last; i >= 0; --i) {
      choice.options[static_cast<std::size_t>(i)] = l->option;
      if (i == 0) break;
      if (l->from_stage != stage) stage = l->from_stage, choice.ends[static_cast<std::size_t>(stage)] = i - 1;
      l = &extended(*l, i);
    }
    return choice;
  }

  const Task& task_;
  const std::vector<const Bound*>& bounds_;
  const LabelLimit& limit_;
  static constexpr std::size_t kMany = 1000;  // labels that are worth several threads
  static constexpr std::size_t kShares = 16;  // of memory, in a sketch
  static constexpr int kPatience = 64;  // labels between two looks at the clock
  Picoseconds known_;
  const int stages_;
  MayHave may_have_;
  int asked_ = 0;
  std::atomic<bool> late_ = false;
  int layer_ = 0;
  Layer next_;
  std::vector<Layer> history_;
  std::vector<Done> done_;
  std::map<std::tuple<int, int, int>, int> owners_;  // what an owner's label had, its option and its stage
  const Promise promise_;
  const Dominance dominance_;
  std::vector<double> here_ = std::vector<double>(bounds_.size());  // of a step, by bound
  LabelResult result_;
};

}  // namespace

LabelResult search_labels(const Task& task, const std::vector<const Bound*>& bounds, Picoseconds known,
                          const LabelLimit& limit) {
  return Labels(task, bounds, known, limit).run();
}

}  // namespace trellis::exact_search
