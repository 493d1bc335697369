#include "plan/whatif/front_steps.h"

#include <algorithm>
#include <chrono>

#include "plan/whatif/plan_pool.h"

namespace trellis {
namespace {

// What is left of the limits of one neighbor.
class Allowance {
 public:
  explicit Allowance(const StepLimits& limits) : limits_(limits) {}
  bool take() {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    return solves_++ < limits_.solves && passed.count() < limits_.seconds;
  }

 private:
  const StepLimits& limits_;
  int solves_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Whether the search has proven that nothing as fast has a smaller largest stage.
bool is_smallest(const Answer& answer) {
  const auto note = answer.log.notes.find("ties");
  return answer.is_proven() && note != answer.log.notes.end() &&
         (note->second == "proven" || note->second == "largest stage proven");
}

class Steps {
 public:
  Steps(const Problem& problem, const CostOracle& oracle, const Solver& solver, const MemoryPrice& known,
        const StepLimits& limits)
      : problem_(problem), solver_(solver), known_(known), limits_(limits), pool_(problem_, oracle) {
    result_.here = known.here;
    for (const std::optional<FrontPoint>& point : {known.less, known.more})
      if (point) pool_.add(*point->answer.plan, point->answer.cost);
    if (known.unlimited.plan) pool_.add(*known.unlimited.plan, known.unlimited.cost);
    pool_.add_neighbors(*known.here.answer.plan, kNoLimit);
  }

  FrontSteps run() {
    find_below();
    if (const Bytes less = result_.here.needs - Bytes{1}; !result_.below.point && !result_.below.is_proven)
      if (const PlanPool::Known* known = pool_.fastest(less)) result_.below.point = unsolved(less, *known);
    find_above();
    return std::move(result_);
  }

 private:
  Answer ask(Bytes budget, std::optional<Plan> start) {
    ++result_.solved;
    return solve_at(problem_, solver_, budget, std::move(start));
  }

  const Score& score_here() { return score_ = result_.here.answer.score(); }

  // The best plan with a byte less. One that is as fast takes the place of the one at hand.
  void find_below() {
    Allowance allowance(limits_);
    while (allowance.take()) {
      const Bytes budget = result_.here.needs - Bytes{1};
      Answer answer = ask(budget, pool_.best(budget));
      if (!answer.plan) {
        result_.below.is_proven = answer.is_proven();
        result_.is_point = result_.here.answer.is_proven() && answer.is_proven();
        return;
      }
      FrontPoint found = point_of_front(budget, std::move(answer));
      if (found.answer.score() <= score_here()) {
        found.asked = result_.here.asked;
        result_.here = std::move(found);
        pool_.add_neighbors(*result_.here.answer.plan, kNoLimit);
        continue;
      }
      result_.is_point = result_.here.answer.is_proven() && found.answer.is_proven();
      result_.below.point = std::move(found);
      settle_below(allowance);
      return;
    }
  }

  // Of the plans that are as fast as the best one below, the smallest.
  void settle_below(Allowance& allowance) {
    FrontPoint& below = *result_.below.point;
    bool smallest = is_smallest(below.answer);
    while (below.answer.is_proven() && !smallest && allowance.take()) {
      const Bytes budget = below.needs - Bytes{1};
      Answer answer = ask(budget, pool_.best(budget));
      if (answer.plan && answer.score() <= below.answer.score()) {
        const Bytes asked = below.asked;
        below = point_of_front(asked, std::move(answer));
        smallest = is_smallest(below.answer);
      } else if (answer.is_proven()) {
        smallest = true;
      } else {
        break;
      }
    }
    result_.below.is_proven = result_.is_point && smallest;
  }

  // From the smallest faster plan that is known down, a byte less each time, and every other time by halves: where these
  // plans lie close nothing faster is found with a byte less soon, and where there are many, halves come by them.
  void find_above() {
    const bool is_best = result_.here.answer.is_proven();
    if (is_best) result_.nothing_faster_in = result_.here.asked;
    take_known();
    if (!result_.above.point) {
      result_.above.is_proven = known_.unlimited.is_proven();
      return;
    }
    if (!is_best) return;
    Allowance allowance(limits_);
    Bytes low = result_.here.asked;
    for (bool by_halves = false; high() > low + Bytes{1}; by_halves = !by_halves) {
      if (!allowance.take()) return;
      const Bytes budget = by_halves ? low + (high() - low) / 2 : high() - Bytes{1};
      Answer answer = ask(budget, result_.here.answer.plan);
      if (!answer.plan) return;
      if (answer.score() < score_here()) {
        pool_.add_neighbors(*answer.plan, budget);
        take(point_of_front(budget, std::move(answer)));
        take_known();
      } else if (answer.is_proven()) {
        result_.nothing_faster_in = low = budget;
      } else {
        return;
      }
    }
    settle_above(allowance);
  }

  Bytes high() const { return result_.above.point->needs; }

  // Nothing faster has fewer bytes; of those that have as many it may not be the fastest.
  void settle_above(Allowance& allowance) {
    FrontPoint& above = *result_.above.point;
    if (!above.answer.is_proven()) {
      if (!allowance.take()) return;
      Answer answer = ask(above.needs, above.answer.plan);
      if (!answer.plan) return;
      above = point_of_front(above.needs, std::move(answer));
    }
    result_.above.is_proven = above.answer.is_proven();
  }

  void take(FrontPoint found) {
    if (!result_.above.point || found.needs < high()) result_.above.point = std::move(found);
  }

  // A plan that nobody solved for, where one is smaller than what answers say.
  void take_known() {
    const PlanPool::Known* known = pool_.smallest_faster(score_here());
    if (!known || (result_.above.point && known->memory >= high())) return;
    result_.above.point = unsolved(known->memory, *known);
  }

  static FrontPoint unsolved(Bytes asked, const PlanPool::Known& known) {
    Answer answer;
    answer.plan = known.plan, answer.cost = known.cost;
    return point_of_front(asked, std::move(answer));
  }

  Problem problem_;
  const Solver& solver_;
  const MemoryPrice& known_;
  const StepLimits& limits_;
  PlanPool pool_;
  FrontSteps result_;
  Score score_;
};

}  // namespace

FrontSteps front_steps(const Problem& problem, const CostOracle& oracle, const Solver& solver,
                       const MemoryPrice& known, const StepLimits& limits) {
  return Steps(problem, oracle, solver, known, limits).run();
}

}  // namespace trellis
