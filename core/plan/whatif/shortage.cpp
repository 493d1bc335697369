// What is missing where no plan fits.
#include <algorithm>
#include <chrono>

#include "plan/whatif/placed_plan.h"
#include "trellis/plan/error.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

class Asking {
 public:
  Asking(const CostOracle& oracle, const Solver& solver, double seconds)
      : oracle_(oracle), solver_(solver), seconds_(seconds) {}

  // A plan of least_memory() that fits needs no search.
  bool fits_somehow(const Problem& problem) const {
    const std::optional<LeastMemory> least = least_memory(problem, oracle_);
    return (least && least->budget <= problem.budget) || solver_(problem).plan.has_value();
  }

  void take(Shortage& shortage, Plan plan) const {
    shortage.cost = oracle_.step(plan);
    const auto fullest = std::ranges::max_element(shortage.cost.memory);
    shortage.needs = *fullest;
    shortage.stage = static_cast<int>(fullest - shortage.cost.memory.begin());
    plan.made_by.clear(), plan.predicted.reset();
    shortage.plan = std::move(plan);
  }

  // Halves what is between a budget in which nothing fits and one in which something does.
  void narrow(Problem problem, Shortage& shortage) const {
    shortage.nothing_in = problem.budget;
    const Bytes close_enough{std::max<std::int64_t>(1 << 14, problem.budget.value >> 11)};
    const auto is_close = [&] { return shortage.needs - shortage.nothing_in <= close_enough; };
    bool proven = true;
    problem.start.reset();
    for (const Clock clock; !is_close() && clock.seconds() < seconds_;) {
      problem.budget = shortage.nothing_in + (shortage.needs - shortage.nothing_in) / 2;
      const Answer answer = solver_(problem);
      if (answer.plan) take(shortage, *answer.plan);
      else shortage.nothing_in = problem.budget, proven = proven && answer.is_proven();
    }
    shortage.is_least = proven && is_close();
  }

  void try_batches(const Problem& problem, const OtherProblems& others, Shortage& shortage) const {
    const Clock clock;
    for (std::int64_t batch = problem.choices.front().batch / 2; batch >= 1; batch /= 2) {
      if (clock.seconds() > seconds_) return;
      const std::optional<Problem> other = others.with_batch(batch);
      if (!other || !fits_somehow(*other)) continue;
      shortage.batch = batch;
      return;
    }
  }

  void try_devices(const Problem& problem, const OtherProblems& others, Shortage& shortage) const {
    const Clock clock;
    for (int devices = problem.devices * 2; devices <= others.most_devices; devices *= 2) {
      if (clock.seconds() > seconds_) return;
      const std::optional<Problem> other = others.with_devices(devices);
      if (!other || !fits_somehow(*other)) continue;
      shortage.devices = devices;
      return;
    }
  }

 private:
  class Clock {
   public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

   private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  };

  const CostOracle& oracle_;
  const Solver& solver_;
  const double seconds_;
};

}  // namespace

std::optional<Shortage> shortage(const Problem& problem, const CostOracle& oracle, const Solver& solver,
                                 const OtherProblems& others, double seconds) {
  if (problem.choices.empty()) return std::nullopt;
  const Asking asking(oracle, solver, seconds);
  Shortage result;
  if (std::optional<LeastMemory> least = least_memory(problem, oracle)) {
    asking.take(result, std::move(least->plan));
  } else {
    Problem unlimited = problem;
    unlimited.budget = Bytes{std::int64_t{1} << 50};
    unlimited.budgets.clear(), unlimited.start.reset();
    Answer answer = solver(unlimited);
    if (!answer.plan) return std::nullopt;
    asking.take(result, std::move(*answer.plan));
  }
  asking.narrow(problem, result);
  asking.try_batches(problem, others, result);
  asking.try_devices(problem, others, result);
  return result;
}

}  // namespace trellis
