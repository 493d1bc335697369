#include "ties.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "labels.h"
#include "order.h"
#include "reals.h"
#include "relax.h"
#include "tidy.h"

namespace trellis::exact_search {
namespace {

class Ties {
 public:
  Ties(const Problem& problem, const CostOracle& oracle, const Plan& plan, std::vector<MayTie> choices,
       const TieLimit& limit)
      : problem_(problem), oracle_(oracle), limit_(limit), choices_(std::move(choices)) {
    result_.plan = plan;
  }

  Tied run() {
    const PlanCost cost = oracle_.step(result_.plan);
    const std::optional<Rank> rank = rank_of(problem_, result_.plan, cost.memory);
    if (!rank) return result_;
    rank_ = *rank, score_ = score(result_.plan, cost);
    std::ranges::stable_sort(choices_, {}, [&](const MayTie& m) { return number_of(problem_, *m.choice); });
    result_.is_smallest = make_smallest();
    if (result_.is_smallest) result_.is_first = make_first();
    return std::move(result_);
  }

 private:
  // What finding bounds anew may take, of all choices: layers x stages, and choices.
  static constexpr std::size_t kMostWork = 1 << 18;
  static constexpr int kRelaxed = 32;

  struct Bounds {
    bool none_left = false;  // they say that there is no such plan
    std::vector<std::shared_ptr<const Bound>> all;
  };

  // Each choice is searched for plans that have less in their largest stage.
  bool make_smallest() {
    for (MayTie& m : choices_) {
      const std::optional<Picoseconds> step = step_as_good(score_, m.choice->batch);
      if (!step || m.least >= Measure{*step, rank_.largest}) continue;
      if (!affordable(m)) return false;
      Task task(problem_, oracle_, *m.choice, m.shapes);
      if (m.weights.empty()) {  // mostly all its plans are longer, and its bounds only ended before they said so
        task.cap(rank_.largest);
        if (bounds(m, task, *step).none_left) {
          m.least = {*step + Picoseconds{1}, Bytes{0}};
          continue;
        }
      }
      task.cap(rank_.largest - Bytes{1});
      std::optional<LabelResult> found = LabelResult{.best = {}, .value = {}};
      if (const Bounds bounds = this->bounds(m, task, *step); !bounds.none_left)
        found = search(task, bounds, {*step + Picoseconds{1}, Bytes{0}}, nullptr);
      if (!found) return false;
      m.least = found->best ? found->least : Measure{*step, rank_.largest};
      m.trail = found->best ? std::move(found->trail) : Trail{};
      if (found->best) take(tidied(problem_, oracle_, task.plan(*found->best)));
    }
    return true;
  }

  // Each choice is searched for plans that have as much and come before.
  bool make_first() {
    for (const MayTie& m : choices_) {
      if (!may_tie(m, score_, rank_.largest)) continue;
      if (!affordable(m)) return false;
      Task task(problem_, oracle_, *m.choice, m.shapes, Task::Keep::all);
      task.cap(rank_.largest);
      const Measure most{*step_as_good(score_, m.choice->batch), rank_.largest};
      const Bounds bounds = this->bounds(m, task, most.step);
      if (!bounds.none_left && !make_first_of(m, task, bounds, most)) return false;
    }
    return true;
  }

  // The fewer changes are allowed, the fewer labels there are: as few as there may be, and 1, 3, 7 more.
  bool make_first_of(const MayTie& m, const Task& task, const Bounds& bounds, const Measure& most) {
    TieOrder order(task, m.trail, number_of(problem_, *m.choice), rank_);
    for (int more = 0, allowed = -1; allowed < order.most_changes(); more = 2 * more + 1) {
      order.allow(allowed = std::min(order.least_changes() + more, order.most_changes()));
      const std::optional<LabelResult> found = search(task, bounds, most, &order);
      if (!found) return false;
      if (!found->best) continue;
      take(task.plan(*found->best));
      return true;
    }
    return true;
  }

  void take(const Plan& plan) {
    const std::optional<Rank> rank = rank_of(problem_, plan, oracle_.step(plan).memory);
    if (rank && *rank < rank_) rank_ = *rank, result_.plan = plan;
  }

  // Nothing where the limit ends it.
  std::optional<LabelResult> search(const Task& task, const Bounds& bounds, const Measure& known, const TieOrder* order) {
    if (bounds.all.empty()) return std::nullopt;
    std::vector<const Bound*> all;
    for (const auto& b : bounds.all) all.push_back(b.get());
    LabelResult found = search_labels(task, all, known,
                                      {.labels = limit_.labels - result_.labels,
                                       .out_of_time = limit_.out_of_time,
                                       .whole = true,
                                       .order = order});
    result_.labels += found.labels;
    if (found.lower_bound < kInfinite) return std::nullopt;
    return found;
  }

  // Where no good bounds are left, they have to be found anew.
  bool affordable(const MayTie& m) {
    if (limit_.out_of_time()) return false;
    if (!m.weights.empty()) return true;
    work_ += static_cast<std::size_t>(m.choice->stages) * problem_.model->layers.size();
    return work_ <= kMostWork && ++relaxed_ <= kRelaxed;
  }

  // Of plans that take no longer.
  Bounds bounds(const MayTie& m, const Task& task, Picoseconds step) const {
    const double too_long = real(step + Picoseconds{1});
    if (task.impossible()) return {.none_left = true, .all = {}};
    if (m.weights.empty()) {
      Relaxed relaxed;
      relax_freely(task, step + Picoseconds{1}, relaxed, Interest::all);
      if (relaxed.lower_bound < too_long) relax(task, step + Picoseconds{1}, relaxed, Interest::all);
      return {.none_left = relaxed.lower_bound >= too_long, .all = std::move(relaxed.bounds)};
    }
    Bounds bounds;
    for (const Weights& w : m.weights) {
      bounds.all.push_back(std::make_shared<const Bound>(task, w));
      bounds.none_left |= bounds.all.back()->total() * (1 - kRounding) >= too_long;
      if (bounds.none_left) break;
    }
    return bounds;
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const TieLimit& limit_;
  std::vector<MayTie> choices_;
  Score score_;
  Rank rank_;
  std::size_t work_ = 0;
  int relaxed_ = 0;
  Tied result_;
};

}  // namespace

std::optional<Picoseconds> step_as_good(const Score& score, std::int64_t batch) {
  const Picoseconds step = score.step_of_batch(batch);
  return Score{step, batch} == score ? std::optional(step) : std::nullopt;
}

bool may_tie(const MayTie& m, const Score& score, Bytes largest) {
  const std::optional<Picoseconds> step = step_as_good(score, m.choice->batch);
  return step && m.least <= Measure{*step, largest};
}

Tied first_of_ties(const Problem& problem, const CostOracle& oracle, const Plan& plan, std::vector<MayTie> choices,
                   const TieLimit& limit) {
  return Ties(problem, oracle, plan, std::move(choices), limit).run();
}

}  // namespace trellis::exact_search
