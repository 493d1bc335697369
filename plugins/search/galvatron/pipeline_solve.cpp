#include <algorithm>
#include <limits>

#include "pipeline_problem.h"

namespace trellis::galvatron {
namespace {

// Whether (m-1) a_0 + r_i - (a_1 + ... + a_i) may be the largest part of the formula for some filling.
bool reductions_may_outlast_first_stage(const PipelineProblem& problem) {
  double least = 0;  // a_0 + ... + a_(i-1), at the least
  for (std::size_t i = 0; i < problem.stages.size(); ++i) {
    const Stage& stage = problem.stages[i];
    double exposed = -std::numeric_limits<double>::infinity();
    for (const Item& item : stage.items) exposed = std::max(exposed, item.reduced - item.computed);
    if (i > 0 && stage.layers * exposed - problem.vocabulary[i] > least * (1 - 1e-9)) return true;
    least += stage.layers * Hull(stage.items, 0, {1, 0}).least(stage.budget / stage.layers) + problem.vocabulary[i];
  }
  return false;
}

class Solver {
 public:
  Solver(const PipelineProblem& problem, const PipelineBounds& bounds, double incumbent, Effort& effort)
      : problem_(problem), bounds_(bounds), best_time_(incumbent), effort_(effort) {}

  PipelineSolution run() {
    if (auto good = good_filling(problem_, bounds_); good && good->time < best_time_) {
      best_time_ = good->time;
      solution_.best = std::move(good);
    }
    if (bounds_.lower_bound(problem_) >= best_time_) return solution_;
    solution_.complete = problem_.stages.size() == 1 ? one_stage() : all_stages();
    return solution_;
  }

 private:
  // What of the incumbent's time the other stages leave to this one, by direction.
  std::vector<Limit> limits_of(std::size_t stage) const {
    std::vector<Limit> limits;
    for (std::size_t t = 0; t < bounds_.terms().size(); ++t) {
      const Direction direction = bounds_.terms()[t][stage];
      if (direction == Direction{}) continue;
      const double others = bounds_.least(problem_, t) - bounds_.least(problem_, t, stage);
      const double value = best_time_ - others - direction.on_computed * problem_.vocabulary[stage];
      const auto same =
          std::find_if(limits.begin(), limits.end(), [&](const Limit& l) { return l.direction == direction; });
      if (same == limits.end()) limits.push_back({direction, value});
      else same->value = std::min(same->value, value);
    }
    return limits;
  }

  // The direction of the part of the formula that bounds the time best.
  Direction main_direction(std::size_t stage) const {
    std::size_t best = 0;
    double largest = -1;
    for (std::size_t t = 0; t < bounds_.terms().size(); ++t) {
      if (bounds_.terms()[t][stage] == Direction{}) continue;
      const double bound = bounds_.least(problem_, t);
      if (bound > largest) largest = bound, best = t;
    }
    return bounds_.terms()[best][stage];
  }

  void consider(std::vector<Mix> mixes) {
    const double time = time_of(problem_, mixes);
    if (time >= best_time_) return;
    best_time_ = time;
    solution_.best = Filling{time, std::move(mixes)};
  }

  bool one_stage() {
    std::vector<Limit> limits = limits_of(0);
    return enumerate(problem_.stages[0], limits, main_direction(0), false, effort_, [&](const Mix& mix) {
      consider({mix});
      const std::vector<Limit> lower = limits_of(0);
      for (std::size_t i = 0; i < limits.size(); ++i) limits[i].value = lower[i].value;
    });
  }

  bool all_stages() {
    const bool keep_all = reductions_may_outlast_first_stage(problem_);
    lists_.resize(problem_.stages.size());
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      std::vector<Limit> limits = limits_of(i);
      std::vector<Mix>& list = lists_[i];
      if (!enumerate(problem_.stages[i], limits, main_direction(i), keep_all && i > 0, effort_,
                     [&](const Mix& mix) { list.push_back(mix); }))
        return false;
      if (list.empty()) return true;  // no filling is better than the incumbent
    }
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      order_.push_back(i);
      least_.emplace_back();
      for (const auto& term : bounds_.terms()) {
        double least = std::numeric_limits<double>::infinity();
        for (const Mix& mix : lists_[i]) least = std::min(least, share(term, i, mix));
        least_.back().push_back(least);
      }
    }
    std::stable_sort(order_.begin(), order_.end(), [&](auto a, auto b) { return lists_[a].size() < lists_[b].size(); });
    std::vector<double> sums(bounds_.terms().size(), 0);
    for (std::size_t t = 0; t < sums.size(); ++t)
      for (std::size_t i = 0; i < lists_.size(); ++i) sums[t] += least_[i][t];
    chosen_.resize(lists_.size());
    return combine(0, sums);
  }

  double share(const PipelineBounds::Term& term, std::size_t stage, const Mix& mix) const {
    return term[stage].of(mix.computed + problem_.vocabulary[stage], mix.reduced);
  }

  // `sums`: each part of the formula, with the stages still open at their least.
  bool combine(std::size_t depth, const std::vector<double>& sums) {
    if (*std::max_element(sums.begin(), sums.end()) >= best_time_) return true;
    if (depth == order_.size()) {
      consider(chosen_);
      return true;
    }
    const std::size_t stage = order_[depth];
    for (const Mix& mix : lists_[stage]) {
      if (++effort_.spent > effort_.labels) return false;
      std::vector<double> with(sums);
      for (std::size_t t = 0; t < with.size(); ++t) with[t] += share(bounds_.terms()[t], stage, mix) - least_[stage][t];
      chosen_[stage] = mix;
      if (!combine(depth + 1, with)) return false;
    }
    return true;
  }

  const PipelineProblem& problem_;
  const PipelineBounds& bounds_;
  double best_time_;
  Effort& effort_;
  PipelineSolution solution_;
  std::vector<std::vector<Mix>> lists_;
  std::vector<std::size_t> order_;
  std::vector<std::vector<double>> least_;  // by stage and term, over the stage's list
  std::vector<Mix> chosen_;
};

}  // namespace

std::optional<Filling> good_filling(const PipelineProblem& problem, const PipelineBounds& bounds) {
  std::optional<Filling> best;
  std::vector<std::vector<Mix>> tried(problem.stages.size());
  const auto consider = [&](const std::vector<Mix>& mixes) {
    const double time = time_of(problem, mixes);
    if (!best || time < best->time) best = Filling{time, mixes};
  };
  for (const PipelineBounds::Term& term : bounds.terms()) {
    std::vector<Mix> mixes;
    for (std::size_t i = 0; i < problem.stages.size(); ++i) {
      // A stage that a part of the formula does not ask for is filled as fast as can be.
      const Direction direction = term[i] == Direction{} ? Direction{1, 1e-3} : term[i];
      std::vector<int> counts = good_counts(problem.stages[i], direction);
      if (counts.empty()) return std::nullopt;
      mixes.push_back(mix_of(problem.stages[i], std::move(counts)));
      tried[i].push_back(mixes.back());
    }
    consider(mixes);
  }
  if (problem.stages.size() == 1) return best;
  for (int round = 0; round < 2; ++round)
    for (std::size_t i = 0; i < tried.size(); ++i)
      for (const Mix& mix : tried[i]) {
        std::vector<Mix> mixes = best->mixes;
        mixes[i] = mix;
        consider(mixes);
      }
  return best;
}

PipelineSolution solve(const PipelineProblem& problem, const PipelineBounds& bounds, double incumbent, Effort& effort) {
  return Solver(problem, bounds, incumbent, effort).run();
}

}  // namespace trellis::galvatron
