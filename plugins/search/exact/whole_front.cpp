#include "whole_front.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "choices.h"
#include "front_choice.h"
#include "in_parallel.h"
#include "order.h"
#include "reals.h"
#include "staircase.h"

namespace trellis::exact_search {
namespace {

class WholeFront {
 public:
  WholeFront(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const FrontLimit& limit, SearchLog& log)
      : problem_(problem), oracle_(oracle), range_(range), limit_(limit), log_(log) {}

  FoundFront run() {
    begin();
    while (!limit_.out_of_time() && labels_ < limit_.labels) {
      const std::vector<Piece> pieces = next();
      if (pieces.empty()) break;
      in_parallel(pieces.size(), [&](std::size_t i) { work(pieces[i]); });
      for (const Piece& piece : pieces) take(*piece.open);
      release(pieces);
    }
    return result();
  }

 private:
  static constexpr std::size_t kTogether = 2;       // pieces of work that know the same plans
  static constexpr std::ptrdiff_t kMostLarge = 24;  // choices with what costs at hand
  static constexpr double kNarrow = 0.002;          // a gap that bounds are not worth before labels were tried elsewhere
  static constexpr double kNothing = 0.01;          // that nothing fits below the smallest plan counts as a gap of so much

  // A step of the staircase at its largest budget: there it is furthest from what bounds allow.
  struct Place {
    Bytes budget{0};
    const Staircase::Step* best = nullptr;  // nullptr below the smallest plan known
  };
  struct Piece {
    FrontChoice* open = nullptr;
    Place place;
    double gap = 0;
    int dear = 0;  // FrontChoice::next_work()
    const Choice* spread = nullptr;  // instead: plans next to this one
  };

  void begin() {
    if (problem_.start) add(*problem_.start);
    if (const std::optional<LeastMemory> least = least_memory(problem_, oracle_)) add(least->plan);
    CrudeBound crude(problem_, oracle_);
    for (const GlobalChoice& choice : problem_.choices)
      for (const SharedShapes& shapes : shapes_of(problem_, choice))
        open_.emplace_back(problem_, oracle_, choice, shapes, range_.to, crude(choice, shapes));
    log_.counts["choices"] = std::ssize(open_);
  }
  void add(const Plan& plan) {
    const std::optional<PlanCost> cost = step_if_possible(oracle_, plan);
    if (!cost || !objection(problem_, plan, {}).empty()) return;
    const Bytes needs = largest(cost->memory);
    if (plans_.is_better(needs, score(plan, *cost))) plans_.add({.needs = needs, .score = score(plan, *cost), .plan = plan});
  }

  std::vector<Place> places() const {
    std::vector<Place> all;
    const auto& steps = plans_.steps();
    for (std::size_t i = 0; i <= steps.size(); ++i) {
      const Bytes end = i < steps.size() ? std::min(range_.to, steps[i].needs - Bytes{1}) : range_.to;
      const bool is_there = i == 0 || steps[i - 1].needs <= end;
      if (end >= range_.from && is_there) all.push_back({end, i == 0 ? nullptr : &steps[i - 1]});
    }
    return all;
  }

  // The step that a plan of the choice has to be below.
  static Picoseconds known(const Place& place, const GlobalChoice& choice) {
    if (!place.best) return Picoseconds{std::numeric_limits<std::int64_t>::max() / 4};
    return step_to_beat(place.best->score, choice.batch);
  }
  static bool is_open(const FrontChoice& open, const Place& place) {
    return open.lower(place.budget) < real(known(place, open.choice()));
  }
  static double per_sample(const FrontChoice& open, Bytes budget) {
    return open.lower(budget) / static_cast<double>(open.choice().batch);
  }

  // What no plan that is better at a place is below, picoseconds a sample; nothing where there is none.
  std::optional<double> bound_at(const Place& place) const {
    std::optional<double> least;
    for (const FrontChoice& open : open_)
      if (is_open(open, place)) least = std::min(least.value_or(kInfinite), per_sample(open, place.budget));
    return least;
  }
  double gap(const Place& place, double bound) const {
    if (!place.best) return plans_.steps().empty() ? kInfinite : kNothing;
    const double reached = real(place.best->score.step) / static_cast<double>(place.best->score.batch);
    return bound > 0 ? reached / bound - 1 : kInfinite;
  }

  // What is cheap first, as long as gaps are worth it, then the widest gaps.
  std::vector<Piece> next() {
    std::vector<Piece> all;
    widest_ = 0;
    for (const Place& place : places())
      for (FrontChoice& open : open_) {
        if (!is_open(open, place)) continue;
        const double gap = this->gap(place, per_sample(open, place.budget));
        if (gap > widest_) widest_ = gap, tell(place);
        const std::optional<int> work = open.next_work(place.budget, known(place, open.choice()));
        if (!work) continue;
        all.push_back({.open = &open, .place = place, .gap = gap, .dear = gap < kNarrow ? std::max(FrontChoice::kLabels, *work) : *work});
      }
    add_spreads(all);
    std::ranges::stable_sort(all, [](const Piece& a, const Piece& b) { return a.dear != b.dear ? a.dear < b.dear : a.gap > b.gap; });
    std::vector<Piece> chosen;
    for (const Piece& piece : all) {
      if (std::ranges::count(chosen, piece.open, &Piece::open) == 0) chosen.push_back(piece);
      if (chosen.size() == kTogether) break;
    }
    return chosen;
  }

  // Plans next to known ones are met quickly, and fill the range between them.
  void add_spreads(std::vector<Piece>& all) {
    for (const Place& place : places()) {
      if (!place.best || place.best->owner < 0) continue;
      FrontChoice& owner = open_[static_cast<std::size_t>(place.best->owner)];
      if (!owner.may_spread(place.best->needs)) continue;
      const double bound = bound_at(place).value_or(kInfinite), gap = this->gap(place, bound);
      if (gap < kNarrow) continue;
      all.push_back({.open = &owner, .place = place, .gap = gap, .dear = FrontChoice::kSpread, .spread = &place.best->choice});
    }
  }

  void work(const Piece& piece) {
    if (piece.spread) piece.open->spread(piece.place.best->needs, *piece.spread);
    else piece.open->work(order_of(piece));
  }

  FrontChoice::Order order_of(const Piece& piece) const {
    return {.budget = piece.place.budget,
            .known = known(piece.place, piece.open->choice()),
            .labels = limit_.labels - labels_,
            .out_of_time = limit_.out_of_time};
  }

  void take(FrontChoice& open) {
    const auto owner = static_cast<int>(&open - open_.data());
    for (FrontChoice::Met& met : open.take_met()) {
      const auto& [step, needs] = met.measure;
      const Score score{step, open.choice().batch};
      if (needs <= range_.to && plans_.is_better(needs, score))
        plans_.add({.needs = needs, .score = score, .plan = open.plan(met.choice), .owner = owner, .choice = std::move(met.choice)});
    }
    const FrontChoice::Counts counts = open.take_counts();
    labels_ += counts.labels;
    log_.counts["choices priced"] += counts.priced;
    log_.counts["candidates"] += counts.candidates;
    log_.counts["shortest paths"] += counts.paths;
    log_.counts["budgets searched by labels"] += counts.searched;
    log_.counts["labels"] += counts.labels;
  }

  // Those that were not worked on the longest go first.
  void release(const std::vector<Piece>& used) {
    for (const Piece& piece : used) std::erase(large_, piece.open), large_.push_back(piece.open);
    for (; std::ssize(large_) > kMostLarge; large_.erase(large_.begin())) large_.front()->release();
  }

  void tell(const Place& place) const {
    if (!place.best) return;
    log_.known({.step = place.best->score.step, .memory = place.best->needs, .gap = widest_});
  }

  FoundFront result() {
    FoundFront front;
    front.nothing_below_proven = true;
    for (const Place& place : places()) {
      const std::optional<double> open = bound_at(place);
      if (!place.best) {
        front.nothing_below_proven = !open;
        continue;
      }
      const Score& score = place.best->score;
      const double reached = real(score.step) / static_cast<double>(score.batch);
      const double bound = std::min(reached, open.value_or(reached));
      front.points.push_back({.plan = place.best->plan,
                              .asked = place.budget,
                              .status = open ? within(gap(place, bound)) : "optimal, proven",
                              .lower_bound = told_bound(problem_, bound, score.batch)});
    }
    std::ranges::reverse(front.points);
    return front;
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const BudgetRange range_;
  const FrontLimit& limit_;
  SearchLog& log_;
  Staircase plans_;
  std::vector<FrontChoice> open_;
  std::vector<FrontChoice*> large_;
  std::int64_t labels_ = 0;
  double widest_ = 0;
};

}  // namespace

FoundFront whole_front(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const FrontLimit& limit,
                       SearchLog& log) {
  return WholeFront(problem, oracle, range, limit, log).run();
}

}  // namespace trellis::exact_search
