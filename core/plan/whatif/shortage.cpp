// What is missing where no plan fits.
#include <algorithm>
#include <chrono>
#include <functional>
#include <ranges>

#include "plan/whatif/placed_plan.h"
#include "trellis/plan/error.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

Problem unlimited(Problem problem) {
  problem.budget = Bytes{std::int64_t{1} << 50};
  problem.budgets.clear(), problem.start.reset();
  return problem;
}

class Clock {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Asking {
 public:
  Asking(const CostOracle& oracle, const Solver& solver, double seconds)
      : oracle_(oracle), solver_(solver), seconds_(seconds) {}

  // Of each choice by itself the plan of least_memory(), the most promising first. Out of time those that were looked at
  // by then: one, where any has one.
  std::vector<LeastMemory> starts(const Problem& problem) const {
    std::vector<LeastMemory> all;
    Problem own = problem;
    own.start.reset();
    for (const GlobalChoice& choice : problem.choices) {
      if (!all.empty() && whole_.seconds() >= seconds_) break;
      own.choices = {choice};
      if (std::optional<LeastMemory> least = least_memory(own, oracle_)) all.push_back(std::move(*least));
    }
    std::ranges::stable_sort(all, std::greater(), [](const LeastMemory& least) { return least.room.bytes; });
    return all;
  }

  // A plan of least_memory() that fits needs no search. Out of time none is known to fit. The narrow lines of many stages
  // first: they have few candidates.
  bool fits_somehow(const Problem& problem) const {
    Problem own = problem;
    own.start.reset();
    for (const GlobalChoice& choice : problem.choices | std::views::reverse) {
      if (is_over()) return false;
      own.choices = {choice};
      const std::optional<LeastMemory> least = least_memory(own, oracle_);
      if (least && least->room.bytes >= Bytes{0}) return true;
    }
    return !is_over() && solver_(problem).plan.has_value();
  }

  // `problem`: that in which nothing fits.
  void take(const Problem& problem, Shortage& shortage, Plan plan) const {
    shortage.cost = oracle_.step(plan);
    const Room room = least_room(problem, choice_of(plan), shortage.cost.memory);
    shortage.stage = room.stage;
    shortage.lacks = Bytes{0} - room.bytes;
    shortage.needs = shortage.cost.memory[static_cast<std::size_t>(room.stage)];
    plan.made_by.clear(), plan.predicted.reset();
    shortage.plan = std::move(plan);
  }

  // A plan that lacks less than the one at hand, by changing all layers of a kind at once, in every choice: quick, and
  // good to begin with where a search would end without a plan.
  void descend(const Problem& problem, const std::vector<LeastMemory>& starts, Shortage& shortage) const {
    const Clock clock;
    for (const LeastMemory& least : starts) {
      if (clock.seconds() > seconds_ / 4) return;
      const Problem own = only(problem, choice_of(least.plan));
      Plan plan = smaller(own, least.plan, clock);
      const PlanCost cost = oracle_.step(plan);
      if (least_room(own, own.choices.front(), cost.memory).bytes <= Bytes{0} - shortage.lacks) continue;
      if (objection(unlimited(own), plan, cost).empty()) take(problem, shortage, std::move(plan));
    }
  }

  // From the plan at hand on downwards, in strides that grow while there is a plan, then by halves: mostly it is near
  // the least, and what is far below says nothing of that.
  void narrow(const Problem& problem, Shortage& shortage) const {
    const Bytes close_enough{std::clamp<std::int64_t>(problem.budget.value / 100, kLeastApart, kMostApart)};
    const auto is_close = [&] { return shortage.lacks - shortage.vain <= close_enough; };
    bool proven = true;
    Bytes stride = close_enough;
    for (const Clock clock; !is_close() && clock.seconds() < seconds_ && !is_over();) {
      const Bytes half = shortage.vain + (shortage.lacks - shortage.vain) / 2;
      const Bytes more = std::max(half, shortage.lacks - stride);
      const Answer answer = solver_(with_more(problem, more));
      if (answer.plan) take(problem, shortage, *answer.plan), stride = stride * 4;
      else shortage.vain = more, proven = proven && answer.is_proven();
    }
    shortage.is_least = proven && is_close();
  }

  // What fits with some batch fits with a smaller one: where nothing does with the smallest, none is left to ask for.
  void try_batches(const Problem& problem, const OtherProblems& others, Shortage& shortage) const {
    const Clock clock;
    std::vector<std::int64_t> halves;
    for (std::int64_t batch = problem.choices.front().batch / 2; batch >= 1; batch /= 2) halves.push_back(batch);
    const auto fits = [&](std::int64_t batch) {
      const std::optional<Problem> other = others.with_batch(batch);
      return other && fits_somehow(*other);
    };
    while (!halves.empty() && !others.with_batch(halves.back())) halves.pop_back();
    if (halves.empty() || !fits(halves.back())) return;
    shortage.batch = halves.back();
    for (const std::int64_t batch : halves) {
      if (clock.seconds() > seconds_ || is_over() || batch == shortage.batch) return;
      if (!fits(batch)) continue;
      shortage.batch = batch;
      return;
    }
  }

  void try_devices(const Problem& problem, const OtherProblems& others, Shortage& shortage) const {
    const Clock clock;
    for (int devices = problem.devices * 2; devices <= others.most_devices; devices *= 2) {
      if (clock.seconds() > seconds_ || is_over()) return;
      const std::optional<Problem> other = others.with_devices(devices);
      if (!other || !fits_somehow(*other)) continue;
      shortage.devices = devices;
      return;
    }
  }

 private:
  static constexpr std::int64_t kLeastApart = 1 << 14, kMostApart = 64 << 20;

  // Of the space; a plan of least_memory() is.
  Plan smaller(const Problem& problem, Plan plan, const Clock& clock) const {
    const ModelSpec& model = *problem.model;
    const std::optional<PlacedPlan> now = placed(problem, plan);
    if (!now) return plan;
    std::vector<const Candidate*> chosen = now->layers;
    const auto room = [&](const Plan& of, const std::vector<const Candidate*>& candidates) -> std::optional<Bytes> {
      try {
        return least_room(problem, *now->choice, composed_step(oracle_, model, of, candidates).memory).bytes;
      } catch (const Error& error) {
        if (error.code() != ExitCode::infeasible) throw;
        return std::nullopt;
      }
    };
    std::optional<Bytes> most = room(plan, chosen);
    if (!most) return plan;
    for (bool changed = true; changed;) {
      changed = false;
      for (const StrategyGroup& group : strategy_groups(plan, model))
        for (const Candidate& c : problem.candidates(group.layers.front(), *now->choice)) {
          if (clock.seconds() > seconds_ / 2) return plan;
          Plan other = plan;
          std::vector<const Candidate*> tried = chosen;
          for (const int layer : group.layers) {
            const auto at = static_cast<std::size_t>(layer);
            other.layers[at] = c.strategy, tried[at] = &c;
          }
          const std::optional<Bytes> found = room(other, tried);
          if (!found || *found <= *most) continue;
          plan = std::move(other), chosen = std::move(tried), most = found, changed = true;
        }
    }
    return plan;
  }

  static Problem only(Problem problem, const GlobalChoice& choice) {
    problem.choices = {choice}, problem.start.reset();
    return problem;
  }

  // Questions before may have taken the time of this one, too: a solve may take longer than it should.
  bool is_over() const { return whole_.seconds() >= kQuestions * seconds_; }

  static Problem with_more(Problem problem, Bytes more) {
    problem.budget += more;
    for (Bytes& budget : problem.budgets) budget += more;
    problem.start.reset();
    return problem;
  }

  static constexpr double kQuestions = 3;

  const CostOracle& oracle_;
  const Solver& solver_;
  const double seconds_;
  const Clock whole_;
};

}  // namespace

std::optional<Shortage> shortage(const Problem& problem, const CostOracle& oracle, const Solver& solver,
                                 const OtherProblems& others, double seconds) {
  if (problem.choices.empty()) return std::nullopt;
  const Asking asking(oracle, solver, seconds);
  Shortage result;
  const std::vector<LeastMemory> starts = asking.starts(problem);
  if (!starts.empty()) {
    asking.take(problem, result, starts.front().plan);
    if (result.lacks <= Bytes{0}) return result;
  } else {
    Answer answer = solver(unlimited(problem));
    if (!answer.plan) return std::nullopt;
    asking.take(problem, result, std::move(*answer.plan));
  }
  asking.descend(problem, starts, result);
  asking.narrow(problem, result);
  asking.try_batches(problem, others, result);
  asking.try_devices(problem, others, result);
  return result;
}

}  // namespace trellis
