#include "front_choice.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "improve.h"
#include "reals.h"

namespace trellis::exact_search {
namespace {

// Prices of memory, and plans next to others, serve nearby budgets, too: to that part of them.
constexpr std::int64_t kNear = 256;
// But where plans have to be that much faster by now, bounds lead to better ones.
constexpr double kLooser = 1.01;
// Of a budget's sketch, and of its searches as long as some are left out.
constexpr std::array<std::int64_t, 5> kMostLabels = {60'000, 50'000, 400'000, 3'000'000, 20'000'000};
// What a search proves holds for smaller budgets, and is worth much so near below.
constexpr std::int64_t kBeside = 64;

}  // namespace

FrontChoice::FrontChoice(const Problem& problem, const CostOracle& oracle, const GlobalChoice& choice,
                         const SharedShapes& shapes, Bytes most, double crude_bound)
    : problem_(problem), oracle_(oracle), choice_(&choice), shapes_(shapes), most_(most) {
  curve_.add(most_, crude_bound);
}

Task& FrontChoice::task() {
  if (!task_) task_ = std::make_unique<Task>(problem_, oracle_, *choice_, shapes_);
  return *task_;
}

const FrontChoice::Relaxation* FrontChoice::near(Bytes budget, Picoseconds known) const {
  const Relaxation* nearest = nullptr;
  Bytes least = budget / kNear;
  for (const auto& [at, relaxation] : relaxed_) {
    const Bytes apart{std::abs((at - budget).value)};
    // What ended its work may not hold elsewhere, nor where plans have to be faster.
    const bool is_vain = relaxation.weights.empty();
    if (is_vain && at != budget) continue;
    if (apart <= least && real(relaxation.known) <= (is_vain ? 1 : kLooser) * real(known)) nearest = &relaxation, least = apart;
  }
  return nearest;
}

std::optional<int> FrontChoice::next_work(Bytes budget, Picoseconds known) const {
  if (impossible_) return std::nullopt;
  const Relaxation* nearest = priced_ ? near(budget, known) : nullptr;
  if (!nearest) return kBounds;
  const auto searched = searched_.find(budget);
  const int times = searched == searched_.end() ? 0 : searched->second;
  if (nearest->weights.empty() || times == std::ssize(kMostLabels)) return std::nullopt;
  const auto above = searched_.upper_bound(budget);
  const bool is_beside = above != searched_.end() && above->first - budget <= budget / kBeside && above->second > times;
  return kLabels + times + (is_beside ? 1 : 0);
}

void FrontChoice::work(const Order& order) {
  if (!priced_) {
    priced_ = true;
    impossible_ = task().impossible();
    ++counts_.priced, counts_.candidates += task().candidates_seen;
    if (impossible_) return curve_.add(most_, kInfinite);
  }
  task().give(order.budget);
  if (const Relaxation* nearest = near(order.budget, order.known)) label(order, *nearest);
  else relax_at(order);
}

void FrontChoice::meet(const Choice& choice, const PlanValue& value) {
  if (value.is_plan) met_.push_back({choice, value.measure()});
}

bool FrontChoice::may_spread(Bytes needs) const {
  const auto above = spread_.lower_bound(needs - needs / kNear);
  return above == spread_.end() || *above > needs + needs / kNear;
}

void FrontChoice::spread(Bytes needs, const Choice& choice) {
  spread_.insert(needs);
  meet_neighbors(task(), choice, [this](const Choice& other, const PlanValue& value) { meet(other, value); });
}

void FrontChoice::relax_at(const Order& order) {
  Relaxed relaxed;
  relaxed.keeps_lines = true;
  relaxed.met = [this](const Choice& choice, const PlanValue& value) { meet(choice, value); };
  relax_freely(task(), order.known, relaxed);
  // What is hopeless without a price of memory is so for smaller budgets, too: prices would tell nothing more.
  if (relaxed.lower_bound < real(order.known)) {
    relax(task(), order.known, relaxed);
    Relaxation& mine = relaxed_[order.budget] = {};
    for (const auto& bound : relaxed.bounds) mine.weights.push_back(bound->weights());
    mine.best = relaxed.best, mine.known = order.known;
  }
  counts_.paths += relaxed.solved;
  for (const BoundLine& line : relaxed.lines) curve_.add(line);
  Picoseconds known = order.known;
  if (relaxed.best) meet(*relaxed.best, relaxed.value), known = std::min(known, relaxed.value.step);
  curve_.add(order.budget, std::max(relaxed.certain, std::min(relaxed.lower_bound, real(known))));
}

void FrontChoice::label(const Order& order, const Relaxation& relaxation) {
  const int round = searched_[order.budget]++;
  counts_.searched += round == 0;
  std::vector<std::unique_ptr<const Bound>> bounds;
  std::vector<const Bound*> all;
  for (const Weights& weights : relaxation.weights) {
    bounds.push_back(std::make_unique<const Bound>(task(), weights));
    all.push_back(bounds.back().get());
  }
  const MayHave options = options_of_paths(task(), all, relaxation.best);
  const LabelLimit limit{.labels = std::min(kMostLabels[static_cast<std::size_t>(round)], order.labels),
                         .out_of_time = order.out_of_time,
                         .sketch = round == 0 ? &options : nullptr,
                         .met = [this](const Choice& choice, const PlanValue& value) { meet(choice, value); }};
  const LabelResult found = search_labels(task(), all, {order.known, Bytes{0}}, limit);
  counts_.labels += found.labels;
  const Picoseconds known = found.best ? found.value.step : order.known;
  curve_.add(order.budget, std::min(found.lower_bound, real(known)));  // 0 of a sketch
}

}  // namespace trellis::exact_search
