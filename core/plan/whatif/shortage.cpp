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
    return (least && least->room.bytes >= Bytes{0}) || solver_(problem).plan.has_value();
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

  // Halves what is between budgets in which nothing fits and such in which something does.
  void narrow(const Problem& problem, Shortage& shortage) const {
    const Bytes close_enough{std::max<std::int64_t>(1 << 14, problem.budget.value >> 11)};
    const auto is_close = [&] { return shortage.lacks - shortage.vain <= close_enough; };
    bool proven = true;
    for (const Clock clock; !is_close() && clock.seconds() < seconds_;) {
      const Bytes more = shortage.vain + (shortage.lacks - shortage.vain) / 2;
      const Answer answer = solver_(with_more(problem, more));
      if (answer.plan) take(problem, shortage, *answer.plan);
      else shortage.vain = more, proven = proven && answer.is_proven();
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
  static Problem with_more(Problem problem, Bytes more) {
    problem.budget += more;
    for (Bytes& budget : problem.budgets) budget += more;
    problem.start.reset();
    return problem;
  }

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
    asking.take(problem, result, std::move(least->plan));
  } else {
    Problem unlimited = problem;
    unlimited.budget = Bytes{std::int64_t{1} << 50};
    unlimited.budgets.clear(), unlimited.start.reset();
    Answer answer = solver(unlimited);
    if (!answer.plan) return std::nullopt;
    asking.take(problem, result, std::move(*answer.plan));
  }
  asking.narrow(problem, result);
  asking.try_batches(problem, others, result);
  asking.try_devices(problem, others, result);
  return result;
}

}  // namespace trellis
