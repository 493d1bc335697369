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
  static constexpr std::size_t kLargest = 512;  // layers x stages
  static constexpr int kRelaxed = 32;

  using Bounds = std::vector<std::shared_ptr<const Bound>>;

  // Each choice is searched for plans that have less in their largest stage.
  bool make_smallest() {
    for (MayTie& m : choices_) {
      const std::optional<Picoseconds> step = step_as_good(score_, m.choice->batch);
      if (!step || m.least >= Measure{*step, rank_.largest}) continue;
      if (!affordable(m)) return false;
      Task task(problem_, oracle_, *m.choice, m.shapes);
      const std::optional<LabelResult> found = search(m, task, {*step, rank_.largest - Bytes{1}}, nullptr);
      if (!found) return false;
      m.least = found->best ? found->least : Measure{*step, rank_.largest};
      m.trail = found->best ? found->trail : Trail{};
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
      if (task.impossible()) continue;
      const TieOrder order(task, number_of(problem_, *m.choice), rank_);
      const std::optional<LabelResult> found =
          search(m, task, {*step_as_good(score_, m.choice->batch), rank_.largest}, &order);
      if (!found) return false;
      if (found->best) take(task.plan(*found->best));
    }
    return true;
  }

  void take(const Plan& plan) {
    const std::optional<Rank> rank = rank_of(problem_, plan, oracle_.step(plan).memory);
    if (rank && *rank < rank_) rank_ = *rank, result_.plan = plan;
  }

  // For plans that are no more. Nothing where the limit ends it.
  std::optional<LabelResult> search(const MayTie& m, Task& task, const Measure& most, const TieOrder* order) {
    LabelResult none{.best = {}, .value = {}};
    if (task.impossible()) return none;
    task.cap(most.largest);
    const Picoseconds too_long = most.step + Picoseconds{1};
    const std::optional<Bounds> bounds = this->bounds(m, task, too_long);
    if (!bounds) return none;
    if (bounds->empty()) return std::nullopt;
    std::vector<const Bound*> all;
    for (const auto& b : *bounds) all.push_back(b.get());
    LabelResult found = search_labels(task, all, order ? most : Measure{too_long, Bytes{0}},
                                      {.labels = limit_.labels - result_.labels,
                                       .out_of_time = limit_.out_of_time,
                                       .whole = true,
                                       .order = order,
                                       .trail = order ? &m.trail : nullptr});
    result_.labels += found.labels;
    if (found.lower_bound < kInfinite) return std::nullopt;
    return found;
  }

  // Where no good bounds are left, they have to be found anew.
  bool affordable(const MayTie& m) {
    if (!m.weights.empty()) return true;
    return static_cast<std::size_t>(m.choice->stages) * problem_.model->layers.size() <= kLargest && ++relaxed_ <= kRelaxed;
  }

  // Nothing where they say that there is no plan.
  std::optional<Bounds> bounds(const MayTie& m, const Task& task, Picoseconds too_long) {
    if (m.weights.empty()) {
      Relaxed relaxed;
      relax_freely(task, too_long, relaxed, Interest::all);
      if (relaxed.lower_bound < real(too_long)) relax(task, too_long, relaxed, Interest::all);
      if (relaxed.lower_bound >= real(too_long)) return std::nullopt;
      return std::move(relaxed.bounds);
    }
    Bounds bounds;
    for (const Weights& w : m.weights) {
      bounds.push_back(std::make_shared<const Bound>(task, w));
      if (bounds.back()->total() * (1 - kRounding) >= real(too_long)) return std::nullopt;
    }
    return bounds;
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const TieLimit& limit_;
  std::vector<MayTie> choices_;
  Score score_;
  Rank rank_;
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
