// Step time against memory: the front, and its slope at a plan.
#include <algorithm>
#include <cmath>

#include "plan/whatif/plan_pool.h"
#include "trellis/plan/whatif.h"

namespace trellis {
namespace {

constexpr double kBytesOfGiB = 1 << 30;

// Asks at both ends, and then wherever neighbors differ the most: what few points there are is spread over the range.
class FrontWalk {
 public:
  FrontWalk(Problem problem, const CostOracle& oracle, const Solver& solver, Bytes from, std::size_t most_points)
      : problem_(std::move(problem)),
        oracle_(oracle),
        solver_(solver),
        from_(std::max(from, Bytes{1})),
        most_points_(most_points),
        pool_(problem_, oracle_) {
    problem_.budgets.clear();
    if (problem_.start) pool_.add(*problem_.start, oracle.step(*problem_.start));
  }

  MemoryFront run(Bytes to) {
    if (ask(to)) {
      if (most_points_ > 1) find_lowest();
      while (const std::optional<Bytes> budget = next()) ask(*budget);
    }
    front_.is_cut = !front_.points.empty() && room_below() > Bytes{0};
    for (std::size_t i = 1; i < front_.points.size(); ++i) front_.is_cut = front_.is_cut || is_open(i);
    return std::move(front_);
  }

 private:
  static constexpr double kGain = 1.01;        // neighbors that differ by less are found last
  static constexpr std::int64_t kNear = 64;    // so are those whose budgets are nearer than that part of them
  static constexpr int kMostSolvesOfAPoint = 3;

  // Whether something fits.
  bool ask(Bytes budget) {
    Answer answer = solve_at(problem_, solver_, budget, pool_.best(budget));
    ++front_.solved;
    front_.seconds += answer.seconds;
    front_.is_proven = front_.is_proven && answer.is_proven();
    if (!answer.plan) {
      front_.below = std::move(answer), front_.vain = std::max(front_.vain, budget);
      return false;
    }
    FrontPoint found = point_of_front(budget, std::move(answer));
    pool_.add(*found.answer.plan, found.answer.cost);
    insert(std::move(found));
    return true;
  }

  // One as fast with less memory takes the place of another; an unproven one may even have been slower.
  void insert(FrontPoint found) {
    std::vector<FrontPoint>& points = front_.points;
    points.push_back(std::move(found));
    std::ranges::stable_sort(points, [](const FrontPoint& a, const FrontPoint& b) {
      return a.needs != b.needs ? a.needs > b.needs : a.answer.score() > b.answer.score();
    });
    for (std::size_t i = 1; i < points.size();)
      if (points[i].answer.score() <= points[i - 1].answer.score()) {
        points[i].asked = std::max(points[i].asked, points[i - 1].asked);
        points.erase(points.begin() + static_cast<std::ptrdiff_t>(--i));
        i = std::max<std::size_t>(i, 1);
      } else {
        ++i;
      }
  }

  // Nearly the smallest budget in which anything fits, or the lower end.
  void find_lowest() {
    const Bytes highest = lowest().needs;
    if (const std::optional<LeastMemory> least = least_memory(problem_, oracle_))
      if (const Bytes budget = std::max(from_, least->budget); budget < highest) ask(budget);
    while (has_room() && room_below().value > lowest().needs.value / kNear) ask(lowest().needs - Bytes{1} - room_below() / 2);
  }

  const FrontPoint& lowest() const { return front_.points.back(); }
  // Budgets below the lowest point in which something may fit.
  Bytes room_below() const { return lowest().needs - Bytes{1} - std::max(front_.vain, from_ - Bytes{1}); }

  bool has_room() const {
    return front_.points.size() < most_points_ &&
           front_.solved < kMostSolvesOfAPoint * static_cast<int>(std::min<std::size_t>(most_points_, 1 << 20));
  }
  // Whether other plans may be the best of budgets between that point and the one before it.
  bool is_open(std::size_t i) const { return front_.points[i].asked < front_.points[i - 1].needs - Bytes{1}; }
  double gain(std::size_t i) const {
    return front_.points[i].answer.score().seconds_per_sample() /
           front_.points[i - 1].answer.score().seconds_per_sample();
  }
  Bytes width(std::size_t i) const { return front_.points[i - 1].needs - Bytes{1} - front_.points[i].asked; }

  // In the middle of what is wide and where much is gained; else below the larger neighbor, which finds what is next;
  // at last below all.
  std::optional<Bytes> next() const {
    if (!has_room()) return std::nullopt;
    std::optional<std::size_t> best;
    const auto is_wide = [&](std::size_t i) {
      return gain(i) >= kGain && width(i).value > front_.points[i - 1].needs.value / kNear;
    };
    for (std::size_t i = 1; i < front_.points.size(); ++i) {
      if (!is_open(i)) continue;
      if (!best || std::pair(is_wide(i), gain(i)) > std::pair(is_wide(*best), gain(*best))) best = i;
    }
    if (!best) return room_below() > Bytes{0} ? std::optional(lowest().needs - Bytes{1}) : std::nullopt;
    const Bytes highest = front_.points[*best - 1].needs - Bytes{1};
    return is_wide(*best) ? highest - width(*best) / 2 : highest;
  }

  Problem problem_;
  const CostOracle& oracle_;
  const Solver& solver_;
  const Bytes from_;
  const std::size_t most_points_;
  PlanPool pool_;
  MemoryFront front_;
};

}  // namespace

MemoryFront memory_front(Problem problem, const CostOracle& oracle, const Solver& solver, Bytes from, Bytes to,
                         int most_points) {
  return FrontWalk(std::move(problem), oracle, solver, from, static_cast<std::size_t>(most_points)).run(to);
}

std::vector<FrontPoint> spread_over(std::vector<FrontPoint> points, std::size_t most) {
  if (points.size() <= most) return points;
  const auto height = [&](std::size_t i) { return std::log(points[i].answer.score().seconds_per_sample()); };
  std::vector<std::size_t> kept{0};
  if (most > 1) kept.push_back(points.size() - 1);
  while (kept.size() < most) {
    // Between the neighbors that differ the most, the point nearest to the middle.
    std::size_t widest = 0;
    for (std::size_t i = 1; i < kept.size(); ++i) {
      const auto gain = [&](std::size_t n) { return kept[n] - kept[n - 1] < 2 ? -1 : height(kept[n]) - height(kept[n - 1]); };
      if (widest == 0 || gain(i) > gain(widest)) widest = i;
    }
    const std::size_t first = kept[widest - 1], last = kept[widest];
    std::size_t best = first + 1;
    const double middle = (height(first) + height(last)) / 2;
    for (std::size_t i = best; i < last; ++i)
      if (std::abs(height(i) - middle) < std::abs(height(best) - middle)) best = i;
    kept.insert(kept.begin() + static_cast<std::ptrdiff_t>(widest), best);
  }
  std::vector<FrontPoint> spread;
  for (const std::size_t i : kept) spread.push_back(std::move(points[i]));
  return spread;
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
    price_.more = point_of_front(kNoLimit, unlimited);
    Bytes low = price_.here.needs + apart(price_.here.needs) - Bytes{1};
    const Bytes first = low + Bytes{1}, close_enough{std::max<std::int64_t>(1, first.value / 100)};
    for (int solves = 0; solves < kMostSolves && price_.more->needs - low > close_enough; ++solves) {
      const Bytes budget = low + (price_.more->needs - low) / 2;
      Answer answer = solve_at(problem_, solver_, budget, price_.here.answer.plan);
      const bool is_more =
          answer.plan && answer.score() < price_.here.answer.score() && answer.memory() >= first;
      if (is_more) price_.more = point_of_front(budget, std::move(answer));
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
    PlanPool pool(problem, oracle);
    pool.add_neighbors(*price.here.answer.plan, problem.budget);
    Answer answer = solve_at(problem, solver, problem.budget, pool.best(problem.budget));
    if (!answer.plan) return;
    FrontPoint found = point_of_front(problem.budget, std::move(answer));
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
  price.here = point_of_front(problem.budget, best);
  price.unlimited = solve_at(problem, solver, kNoLimit, best.plan);
  find_less(problem, oracle, solver, price);
  More(problem, solver, price).find(price.unlimited);
  return price;
}

}  // namespace trellis
