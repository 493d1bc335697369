#include "labels.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "dominance.h"
#include "in_parallel.h"
#include "promise.h"
#include "reals.h"
#include "stand_ins.h"

namespace trellis::exact_search {
namespace {

class Labels {
 public:
  Labels(const Task& task, const std::vector<const Bound*>& bounds, const Measure& known, const LabelLimit& limit)
      : task_(task),
        bounds_(bounds),
        limit_(limit),
        order_(limit.order),
        known_(known),
        stages_(task.stages()),
        promise_(task, bounds, done_),
        dominance_(task) {
    result_.lower_bound = kInfinite;
    result_.least = {too_long(), Bytes{0}};
    if (limit.sketch) may_have_ = *limit.sketch;
    else
      for (const Kind& kind : task.kinds()) may_have_.emplace_back(kind.options.size(), true);
  }

  LabelResult run() {
    for (int o = 0; o < static_cast<int>(task_.kind(0).options.size()); ++o)
      if (may_have(0)[static_cast<std::size_t>(o)]) start(o);
    for (layer_ = 0; layer_ + 1 < task_.layers() && !ended_; ++layer_) {
      settle();
      advance();
    }
    if (!ended_) settle();
    if (ended_) result_.lower_bound = 0;
    else finish();
    if (limit_.sketch) result_.lower_bound = 0;
    return std::move(result_);
  }

 private:
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
    if (order_) {
      const std::optional<Prefix> prefix = order_->first(option);
      if (!prefix) return;
      label.prefix = *prefix;
    }
    for (const Bound* b : bounds_)
      label.bound = std::max(label.bound, promise_.spent(label, 0, 0, *b) + b->after(0, 0, 0, option));
    if (hopeless(label.bound)) return void(++result_.bounded);
    if (fits(label, 0, 0) && is_wanted(label, 0, 0)) made(0) = std::move(label);
  }

  // Whatever its memory.
  Picoseconds too_long() const {
    return order_ || known_.largest.value > 0 ? known_.step + Picoseconds{1} : known_.step;
  }
  bool hopeless(double bound) const { return bound * (1 - kRounding) >= real(too_long()); }

  bool fits(const Label& label, int layer, int stage) const {
    const StageTotal total =
        close(label.sum, task_.cost(layer, label.option, stage), nullptr, nullptr, task_.slowdown());
    return total.memory(task_.stage(stage).in_flight) <= task_.stage(stage).budget;
  }

  bool is_wanted(const Label& label, int layer, int stage) const {
    return !order_ || order_->may_lead_on(label, dominance_, layer, stage);
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

  bool apply_ties(Label& label, int layer, int stage) {
    const auto& pairs = task_.shared();
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      if (pairs[p].use != layer) continue;
      const auto [option, owner_stage] = history_.option_of(label, pairs[p].owner, layer, stage);
      const TieCost& tie = task_.tie(p, option, label.option, owner_stage == stage);
      label.sum.states -= tie.saved;
      label.sum.update -= std::min(label.sum.update, tie.saved_update);
      label.tie_pending += tie.pending;
      label.tie_bytes = std::max(label.tie_bytes, tie.bytes);
      label.shared += tie.before + tie.after;
      if (owner_stage == stage) continue;
      int done = label.done;
      for (int t = stage - 1; t > owner_stage; --t) done = done_[static_cast<std::size_t>(done)].before;
      const Bytes update = done_[static_cast<std::size_t>(done)].total.states + tie.bytes;
      if (update > task_.stage(owner_stage).budget) return false;
      label.largest = std::max(label.largest, update);
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
  Bytes memory(const StageTotal& total, const Label& label, int stage) const {
    return std::max(total.memory(task_.stage(stage).in_flight), total.states + label.tie_bytes);
  }

  // The steps from a layer of a stage to the next one, which labels with the same option and gather have in common.
  struct Way {
    bool leaves = false;
    Promise::Ends ends;
    std::map<std::pair<int, int>, std::vector<double>> steps;  // by gather and option: [class of the end * bounds + bound]
  };
  const std::vector<double>& steps_of(const Label& label, int stage, Way& way) const {
    const auto [known, fresh] = way.steps.try_emplace({label.gather, label.option});
    if (fresh)
      for (const int to : way.ends.classes->first)
        for (const Bound* b : bounds_) {
          const StageWalk& walk = b->stage(stage);
          known->second.push_back(way.leaves ? walk.leave(layer_, label.gather, label.option, to)
                                             : walk.stay(layer_, b->depth(layer_, stage), label.gather, label.option, to));
        }
    return known->second;
  }

  void advance() {
    next_.assign(static_cast<std::size_t>(stages_), {});
    const int left = task_.layers() - 1 - layer_;
    for (int s = 0; s < stages_; ++s) {
      const auto& labels = history_.last()[static_cast<std::size_t>(s)];
      if (labels.empty()) continue;
      const bool stays = left >= stages_ - s, leaves = s + 1 < stages_ && left >= stages_ - 1 - s;
      Way inside{.leaves = false}, beyond{.leaves = true};
      if (stays) inside.ends = promise_.ends(layer_ + 1, s, false, may_have(layer_ + 1));
      if (leaves) beyond.ends = promise_.ends(layer_ + 1, s + 1, true, may_have(layer_ + 1));
      std::vector<double> behind(bounds_.size());
      for (std::size_t l = 0; l < labels.size(); ++l) {
        if (hopeless(labels[l].bound)) continue;
        if (limit_.whole && (late_ || result_.labels > limit_.labels)) return void(ended_ = true);
        if (out_of_time(asked_) && has_successor(s)) {
          give_up(labels[l]);
          continue;
        }
        for (std::size_t b = 0; b < behind.size(); ++b) behind[b] = promise_.spent(labels[l], layer_, s, *bounds_[b]);
        if (stays) step(labels[l], l, s, inside, behind);
        if (leaves) step(labels[l], l, s, beyond, behind);
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
  void give_up(const Label& label) { result_.lower_bound = std::min(result_.lower_bound, label.bound * (1 - kRounding)); }

  // To every option that is not hopeless, of which whole classes are at once.
  void step(const Label& label, std::size_t index, int stage, Way& way, const std::vector<double>& behind) {
    const bool leaves = way.leaves;
    const Promise::Ends& ends = way.ends;
    const std::vector<double>& steps = steps_of(label, stage, way);
    const auto mine =
        leaves ? 0
               : static_cast<std::size_t>(task_.kind(layer_).options[static_cast<std::size_t>(label.option)].gather);
    std::vector<double>& here = here_;
    for (std::size_t c = 0; c < ends.members.size(); ++c) {
      bool all = ends.members[c].empty();
      for (std::size_t b = 0; b < bounds_.size() && !all; ++b) {
        here[b] = behind[b] + steps[c * bounds_.size() + b];
        all = hopeless(here[b] + ends.least[b][mine][c]);
      }
      if (all) {
        result_.bounded += static_cast<std::int64_t>(ends.members[c].size());
        continue;
      }
      for (const int to : ends.members[c]) {
        Prefix prefix;
        if (order_) {
          const std::optional<Prefix> longer = order_->longer(label.prefix, layer_ + 1, label.option, to, leaves);
          if (!longer) continue;
          prefix = *longer;
        }
        double bound = label.bound;
        for (std::size_t b = 0; b < bounds_.size(); ++b)
          bound = std::max(bound, here[b] + ends.values[b][mine][static_cast<std::size_t>(to)]);
        if (hopeless(bound)) ++result_.bounded;
        else if (leaves) leave(label, index, stage, to, bound, prefix);
        else extend(label, index, stage, to, bound, prefix);
      }
    }
  }

  Label successor(const Label& label, std::size_t index, int stage, int to, double bound, const Prefix& prefix) const {
    Label next;
    next.option = to, next.bound = bound, next.prefix = prefix;
    next.from_stage = stage, next.from = static_cast<int>(index);
    next.owner = label.owner, next.shared = label.shared, next.largest = label.largest;
    next.multiples = task_.joined(label.multiples, task_.kind(layer_ + 1).options[static_cast<std::size_t>(to)].shapes);
    return next;
  }

  void extend(const Label& label, std::size_t index, int stage, int to, double bound, const Prefix& prefix) {
    Label next = successor(label, index, stage, to, bound, prefix);
    next.sum = label.sum;
    next.sum.push(task_.cost(layer_ + 1, to, stage), &task_.cost(layer_, label.option, stage),
                  &task_.edge(layer_, label.option, to, stage), task_.slowdown());
    next.gather = task_.kind(layer_).options[static_cast<std::size_t>(label.option)].gather;
    next.done = label.done, next.arriving = label.arriving;
    next.tie_pending = label.tie_pending, next.tie_bytes = label.tie_bytes;
    arrive(std::move(next), stage);
  }

  void leave(const Label& label, std::size_t index, int stage, int to, double bound, const Prefix& prefix) {
    const EdgeCost& edge = task_.stage_edge(layer_, label.option, to, stage);
    const StageTotal total = closed(label, layer_, stage, &edge);
    const Bytes memory = this->memory(total, label, stage);
    if (memory > task_.stage(stage).budget) return;
    Label next = successor(label, index, stage, to, bound, prefix);
    next.largest = std::max(label.largest, memory);
    next.sum.push(task_.cost(layer_ + 1, to, stage + 1), nullptr, nullptr, task_.slowdown());
    next.done = static_cast<int>(done_.size()), next.arriving = &edge;
    done_.push_back({total, label.done});
    const std::size_t before = next_[static_cast<std::size_t>(stage) + 1].size();
    arrive(std::move(next), stage + 1);
    if (next_[static_cast<std::size_t>(stage) + 1].size() == before) done_.pop_back();
  }

  void arrive(Label next, int stage) {
    ++result_.labels;
    note_shared(next, layer_ + 1, stage, next.option);
    if (apply_ties(next, layer_ + 1, stage) && fits(next, layer_ + 1, stage) && is_wanted(next, layer_ + 1, stage))
      made(stage) = std::move(next);
  }

  // What labels with one future have in common.
  using Key = std::tuple<int, int, int>;
  Key key(const Label& l) const {
    const int layer = history_.layers();
    const int exit = task_.kind(layer).options[static_cast<std::size_t>(l.option)].costs.front().exit;
    return {l.owner, exit, task_.all_have_shapes() ? 0 : l.multiples};
  }

  // The labels of a layer become final: groups with one future, the most promising first.
  void settle() {
    std::int64_t alive = 0;
    std::vector<Tracks::Track> tracks;
    if (order_) order_->sort(next_, history_);
    for (int s = 0; s < stages_; ++s) {
      auto& labels = next_[static_cast<std::size_t>(s)];
      if (!order_) std::ranges::stable_sort(labels, {}, &Label::bound);
      std::map<Key, std::vector<std::size_t>> by_key;
      for (std::size_t l = 0; l < labels.size(); ++l) by_key[key(labels[l])].push_back(l);
      std::vector<const std::vector<std::size_t>*> groups;
      for (const auto& [key, group] : by_key) groups.push_back(&group);
      std::vector<std::size_t> by(labels.size());
      std::iota(by.begin(), by.end(), 0);
      if (limit_.sketch)
        for (const auto* group : groups) stand_ins_.thin_out(labels, *group, memory_of(s), by);
      else if (labels.size() < kMany)
        for (const auto* group : groups) stand_ins_.find(labels, *group, history_.layers(), by);
      else in_parallel(groups.size(), [&](std::size_t g) { stand_ins_.find(labels, *groups[g], history_.layers(), by); });
      keep(labels, s, by, tracks);
      alive += static_cast<std::int64_t>(labels.size());
    }
    if (!limit_.whole) cut_down(alive);
    history_.push(std::move(next_));
    tracks_.push(std::move(tracks));
    next_.assign(static_cast<std::size_t>(stages_), {});
  }

  // What a label's memory costs in the first bound, at the layer that settles.
  std::function<double(const Label&)> memory_of(int stage) const {
    return [this, stage](const Label& label) { return promise_.memory(label, history_.layers(), stage, *bounds_.front()); };
  }

  // `by`: of each label, the one that stands for it.
  void keep(std::vector<Label>& labels, int stage, const std::vector<std::size_t>& by, std::vector<Tracks::Track>& tracks) {
    std::vector<Label> left;
    std::vector<int> at(labels.size());
    const std::size_t first = tracks.size();
    for (std::size_t l = 0; l < labels.size(); ++l) {
      if (!limit_.sketch && !order_)
        tracks.push_back({labels[l].from, -1, labels[l].option, static_cast<std::int16_t>(stage), labels[l].from_stage < stage});
      if (by[l] == l) at[l] = static_cast<int>(left.size()), left.push_back(std::move(labels[l]));
      else if (by[l] == StandIns::kNobody) give_up(labels[l]);
      else ++result_.dominated;
    }
    for (std::size_t t = first; t < tracks.size(); ++t)
      if (by[t - first] != StandIns::kNobody) tracks[t].at = at[by[t - first]];
    labels = std::move(left);
  }

  // Over the limit: the least promising go, and what they might have led to is remembered.
  void cut_down(std::int64_t alive) {
    const std::int64_t left = std::max<std::int64_t>(limit_.labels - result_.labels, 0);
    const int ahead = std::max(1, task_.layers() - history_.layers() - 1);
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

  const std::vector<Label>& complete() const { return history_.last()[static_cast<std::size_t>(stages_) - 1]; }

  void finish() {
    std::vector<Measure> measures;
    for (const Label& label : complete()) {
      Measure& mine = measures.emplace_back(Measure{Picoseconds{std::numeric_limits<std::int64_t>::max()}, Bytes{0}});
      if (hopeless(label.bound)) continue;
      const Choice choice = history_.choice_of(label);
      const PlanValue value = task_.value(choice);
      if (limit_.met) limit_.met(choice, value);
      if (!value.fits) continue;
      mine = value.measure();
      result_.least = std::min(result_.least, mine);
      const bool no_more = order_ && !result_.best && mine == known_;
      if (mine >= known_ && !no_more) continue;
      known_ = mine;
      result_.best = choice, result_.value = value;
    }
    if (limit_.sketch || order_ || result_.lower_bound < kInfinite) return;
    std::vector<bool> best;
    for (const Measure& m : measures) best.push_back(m == result_.least);
    if (std::ranges::count(best, true) > 0) result_.trail = tracks_.followed(task_, dominance_, history_, best);
  }

  const Task& task_;
  const std::vector<const Bound*>& bounds_;
  const LabelLimit& limit_;
  const TieOrder* const order_;
  static constexpr std::size_t kMany = 1000;  // labels that are worth several threads
  static constexpr int kPatience = 64;  // labels between two looks at the clock
  Measure known_;
  const int stages_;
  MayHave may_have_;
  int asked_ = 0;
  std::atomic<bool> late_ = false;
  int layer_ = 0;
  bool ended_ = false;
  History::Layer next_;
  History history_;
  Tracks tracks_;
  std::vector<Done> done_;
  std::map<std::tuple<int, int, int>, int> owners_;  // what an owner's label had, its option and its stage
  const Promise promise_;
  const Dominance dominance_;
  const StandIns stand_ins_{task_, dominance_, done_, order_, [this](int& asked) { return out_of_time(asked); }};
  std::vector<double> here_ = std::vector<double>(bounds_.size());  // of a step, by bound
  LabelResult result_;
};

}  // namespace

LabelResult search_labels(const Task& task, const std::vector<const Bound*>& bounds, const Measure& known,
                          const LabelLimit& limit) {
  return Labels(task, bounds, known, limit).run();
}

}  // namespace trellis::exact_search
