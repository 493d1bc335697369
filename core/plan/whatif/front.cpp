// Step time against memory: the front, and its slope at a plan.
#include <algorithm>

#include "plan/whatif/placed_plan.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

constexpr Bytes kNoLimit = Bytes{std::int64_t{1} << 50};
constexpr double kBytesOfGiB = 1 << 30;

// Plans to begin with, none of which is both slower and larger than another.
class Pool {
 public:
  Pool(const Problem& problem, const CostOracle& oracle) : problem_(problem), oracle_(oracle) {}

  // Those in reach of a plan; of a budget that it need not fit.
  void add_neighbors(const Plan& plan, Bytes budget) {
    Problem problem = problem_;
    problem.budget = budget;
    for (auto& [other, cost] : one_layer_changes(problem, oracle_, plan)) add(std::move(other), cost);
    prune();
  }
  void add(Plan plan, const PlanCost& cost) {
    const Score score{cost.step, plan.batch};
    plans_.push_back({std::move(plan), score, *std::ranges::max_element(cost.memory)});
  }
  std::optional<Plan> best(Bytes budget) const {
    for (const One& one : plans_)  // the fastest first
      if (one.memory <= budget) return one.plan;
    return std::nullopt;
  }

 private:
  struct One {
    Plan plan;
    Score score;
    Bytes memory;
  };
  void prune() {
    std::ranges::stable_sort(plans_, [](const One& a, const One& b) {
      return a.score != b.score ? a.score < b.score : a.memory < b.memory;
    });
    std::vector<One> kept;
    for (One& one : plans_)
      if (kept.empty() || one.memory < kept.back().memory) kept.push_back(std::move(one));
    plans_ = std::move(kept);
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  std::vector<One> plans_;
};

FrontPoint point(Bytes asked, Answer answer) {
  const Bytes needs = answer.memory();
  return {.asked = asked, .needs = needs, .answer = std::move(answer)};
}

Answer at_budget(Problem problem, const Solver& solver, Bytes budget, std::optional<Plan> start) {
  problem.budget = budget;
  problem.start = std::move(start);
  return solver(problem);
}

}  // namespace

MemoryFront memory_front(Problem problem, const CostOracle& oracle, const Solver& solver, Bytes from, Bytes to,
                         int most_points) {
  MemoryFront front;
  problem.budgets.clear();
  Pool pool(problem, oracle);
  if (problem.start) pool.add(*problem.start, oracle.step(*problem.start));
  for (Bytes budget = to; budget >= from && budget.value > 0;) {
    Answer answer = at_budget(problem, solver, budget, pool.best(budget));
    ++front.solved;
    front.seconds += answer.seconds;
    front.is_proven = front.is_proven && answer.is_proven();
    if (!answer.plan) {
      front.below = std::move(answer);
      break;
    }
    FrontPoint found = point(budget, std::move(answer));
    // One as fast with less memory takes the place of the point before; an unproven one may even have been slower.
    while (!front.points.empty() && found.answer.score() <= front.points.back().answer.score()) {
      found.asked = front.points.back().asked;
      front.points.pop_back();
    }
    if (static_cast<int>(front.points.size()) == most_points) {
      front.is_cut = true;
      break;
    }
    budget = found.needs - Bytes{1};
    pool.add_neighbors(*found.answer.plan, budget);
    front.points.push_back(std::move(found));
  }
  return front;
}

double MemoryPrice::slope(const FrontPoint& smaller, const FrontPoint& larger) {
  const double seconds = smaller.answer.score().seconds_per_sample() - larger.answer.score().seconds_per_sample();
  const double gib = static_cast<double>((larger.needs - smaller.needs).value) / kBytesOfGiB;
  return seconds * static_cast<double>(smaller.answer.plan->batch) / gib;
}

namespace {

// Neighbors of a plan are so far away at the least: a slope between next points of the front is noise.
Bytes apart(Bytes needs) { return Bytes{std::max<std::int64_t>(1, needs.value / 20)}; }

// Solves for the fastest plan with as little memory as is at least that far away. Where all that is faster is nearer,
// for the fastest one.
class More {
 public:
  More(const Problem& problem, const Solver& solver, MemoryPrice& price)
      : problem_(problem), solver_(solver), price_(price) {}

  void find(const Answer& unlimited) {
    if (!unlimited.plan || unlimited.score() >= price_.here.answer.score()) {
      price_.more_is_next = true;
      return;
    }
    price_.more = point(kNoLimit, unlimited);
    Bytes low = price_.here.needs + apart(price_.here.needs) - Bytes{1};
    const Bytes first = low + Bytes{1}, close_enough{std::max<std::int64_t>(1, first.value / 100)};
    for (int solves = 0; solves < kMostSolves && price_.more->needs - low > close_enough; ++solves) {
      const Bytes budget = low + (price_.more->needs - low) / 2;
      Answer answer = at_budget(problem_, solver_, budget, price_.here.answer.plan);
      const bool is_more =
          answer.plan && answer.score() < price_.here.answer.score() && answer.memory() >= first;
      if (is_more) price_.more = point(budget, std::move(answer));
      else low = budget, proven_ = proven_ && answer.is_proven();
    }
    price_.more_is_next = proven_ && price_.more->needs - low <= close_enough;
  }

 private:
  static constexpr int kMostSolves = 16;

  const Problem& problem_;
  const Solver& solver_;
  MemoryPrice& price_;
  bool proven_ = true;
};

// A plan that is as fast in less memory takes the place of the one at hand.
void find_less(Problem problem, const CostOracle& oracle, const Solver& solver, MemoryPrice& price) {
  static constexpr int kMostTies = 8;
  for (int ties = 0; ties < kMostTies; ++ties) {
    problem.budget = price.here.needs - apart(price.here.needs);
    Pool pool(problem, oracle);
    pool.add_neighbors(*price.here.answer.plan, problem.budget);
    Answer answer = at_budget(problem, solver, problem.budget, pool.best(problem.budget));
    if (!answer.plan) return;
    FrontPoint found = point(problem.budget, std::move(answer));
    if (found.answer.score() > price.here.answer.score()) {
      price.less = std::move(found);
      return;
    }
    found.asked = price.here.asked;
    price.here = std::move(found);
  }
}

}  // namespace

std::optional<MemoryPrice> price_of_memory(const Problem& problem, const CostOracle& oracle, const Solver& solver,
                                           const Answer& best) {
  if (!best.plan || !problem.budgets.empty()) return std::nullopt;
  MemoryPrice price;
  price.here = point(problem.budget, best);
  price.unlimited = at_budget(problem, solver, kNoLimit, best.plan);
  find_less(problem, oracle, solver, price);
  More(problem, solver, price).find(price.unlimited);
  return price;
}

}  // namespace trellis
