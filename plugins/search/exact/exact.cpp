// The best plan of the whole space, with a proof. Every global choice is bounded from below, more and more tightly, the
// most promising first, until its bound reaches the best plan known; what is left is searched by labels.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

#include "choices.h"
#include "in_parallel.h"
#include "labels.h"
#include "order.h"
#include "reals.h"
#include "relax.h"
#include "task.h"
#include "tidy.h"
#include "ties.h"
#include "trellis/plan/cost.h"
#include "trellis/plan/error.h"
#include "trellis/plan/plugin.h"
#include "whole_front.h"

namespace trellis {
namespace {

using namespace exact_search;

struct Settings {
  std::optional<std::int64_t> labels;
  std::optional<double> seconds;
};

enum class Round { price, bound, labels };

// One choice with one set of shapes, and what is known of it.
struct Open {
  Round round = Round::price;  // the next one
  const GlobalChoice* choice = nullptr;
  SharedShapes shapes;
  double lower_bound = 0;  // of plans that are better than the best one, picoseconds a step
  Measure least;           // no plan is less
  std::unique_ptr<Task> task;
  Relaxed relaxed;
  std::vector<Weights> weights;  // of its bounds, once these are gone
  Trail trail;
};

class Exact {
 public:
  Exact(const Problem& problem, const CostOracle& oracle, const Settings& settings, SearchLog& log)
      : problem_(problem),
        oracle_(oracle),
        settings_(settings),
        most_labels_(settings.labels.value_or(kMostLabels)),
        log_(log),
        start_(std::chrono::steady_clock::now()) {}

  std::optional<Plan> run() {
    begin_with_start();
    std::vector<Open> open = choices();
    log_.counts["choices"] = static_cast<std::int64_t>(open.size());
    // Each round is dearer than the one before. What promises most goes a round further, until all that is open has
    // been through both.
    const auto promising = [&](const Open& a, const Open& b) { return per_sample(a) < per_sample(b); };
    for (;;) {
      const std::vector<Open*> few = most_promising(open);
      if (few.empty()) break;
      if (few.front()->round == Round::price) price(few);
      else bound(few);
      tell(open);
    }
    std::erase_if(open, [&](Open& o) { return closed(o); });
    std::ranges::stable_sort(open, promising);
    for (Open& o : open)
      if (best_ || !enough()) search(o), tell(open);
    std::erase_if(open, [&](Open& o) { return closed(o); });
    for (const Open& o : open) least_open_ = std::min(least_open_, per_sample(o));
    certify();
    if (best_) settle_ties();
    return std::move(best_);
  }

 private:
  // Choices that are priced, and of those that are bounded, knowing the same plan: however many threads there are, the
  // answer is the same.
  static constexpr std::size_t kTogether = 16, kBounded = 2;
  static constexpr std::int64_t kMostLabels = 20'000'000;
  static constexpr std::int64_t kSketched = 60'000, kNarrow = 50'000, kTied = 10'000, kShareOfTies = 2;

  static double per_sample(const Open& o) { return o.lower_bound / static_cast<double>(o.choice->batch); }

  // What a plan of this choice has to be less than.
  Measure known(const GlobalChoice& choice) const {
    if (!best_) return {Picoseconds{std::numeric_limits<std::int64_t>::max() / 4}, Bytes{0}};
    const Picoseconds step = step_to_beat(score_, choice.batch);
    return {step, Score{step, choice.batch} == score_ ? largest_ : Bytes{0}};  // as long is better with less
  }
  bool hopeless(const Open& o) const { return o.lower_bound >= real(known(*o.choice).step); }

  // Counts what a bound has settled.
  bool closed(Open& o) {
    if (!hopeless(o)) return false;
    ++log_.counts["choices settled by bounds"];
    release(o);
    MayTie mine{.choice = o.choice,
                .shapes = o.shapes,
                .weights = std::move(o.weights),
                .least = o.least,
                .trail = std::move(o.trail)};
    if (best_ && may_tie(mine, score_, largest_)) may_tie_.push_back(std::move(mine));
    return true;
  }

  // What is large.
  static void release(Open& o) {
    for (const auto& bound : std::exchange(o.relaxed.bounds, {})) o.weights.push_back(bound->weights());
    o.task.reset();
  }

  bool out_of_time() const { return log_.stopped() || (settings_.seconds && seconds() > *settings_.seconds); }
  // Some plan is better than none, but not at any price: what fits nowhere would else be tried to its end.
  bool enough() const {
    if (log_.stopped()) return true;
    return settings_.seconds && seconds() > *settings_.seconds + (best_ ? 0 : std::max(0.5, *settings_.seconds / 4));
  }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  void begin_with_start() {
    if (!problem_.start) return;
    const std::optional<PlanCost> cost = step_if_possible(oracle_, *problem_.start);
    if (!cost || !objection(problem_, *problem_.start, *cost).empty()) return;
    best_ = problem_.start;
    score_ = score(*best_, *cost), largest_ = largest(cost->memory);
  }

  // Of the round that the most promising choice comes to next, those that are no less promising than any of another.
  static std::vector<Open*> most_promising(std::vector<Open>& open) {
    std::vector<Open*> waiting;
    for (Open& o : open)
      if (o.round != Round::labels) waiting.push_back(&o);
    std::ranges::stable_sort(waiting, [](const Open* a, const Open* b) { return per_sample(*a) < per_sample(*b); });
    if (waiting.empty()) return {};
    const Round round = waiting.front()->round;
    const auto other = std::ranges::find_if(waiting, [&](const Open* o) { return o->round != round; });
    waiting.erase(other, waiting.end());
    waiting.resize(std::min(waiting.size(), round == Round::price ? kTogether : kBounded));
    return waiting;
  }

  // Ordered by what the layers compute, were they spread perfectly.
  std::vector<Open> choices() {
    std::vector<Open> all;
    CrudeBound bound(problem_, oracle_);
    for (const GlobalChoice& choice : problem_.choices)
      for (const SharedShapes& shapes : shapes_of(problem_, choice)) {
        Open o;
        o.choice = &choice, o.shapes = shapes;
        o.lower_bound = bound(choice, shapes);
        o.least = no_less(o.lower_bound);
        all.push_back(std::move(o));
      }
    std::ranges::stable_sort(all, [&](const Open& a, const Open& b) { return per_sample(a) < per_sample(b); });
    return all;
  }

  // Out of time, one by one until some plan is found or it is enough: see bound().
  void price(std::span<Open* const> few) {
    const std::vector<std::size_t> left = those(few, [&](const Open& o) { return !hopeless(o); });
    in_parallel(left.size(), [&](std::size_t i) {
      if (!out_of_time()) make_task(*few[left[i]]);
    });
    for (Open* o : few) {
      o->round = Round::bound;
      if (o->task) count_task(*o), note(*o, known(*o->choice).step);
    }
  }

  // Most rounds have nothing to do: they start no threads.
  template <class Has>
  static std::vector<std::size_t> those(std::span<Open* const> few, Has&& work) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < few.size(); ++i)
      if (work(*few[i])) places.push_back(i);
    return places;
  }

  void make_task(Open& o) const {
    o.task = std::make_unique<Task>(problem_, oracle_, *o.choice, o.shapes);
    if (o.task->impossible()) o.lower_bound = kInfinite;
    else relax_freely(*o.task, known(*o.choice).step, o.relaxed);
  }
  void count_task(const Open& o) {
    ++log_.counts["choices priced"];
    log_.counts["candidates"] += o.task->candidates_seen;
    log_.counts["candidates dominated"] += o.task->candidates_dominated;
  }

  void bound(std::span<Open* const> few) {
    for (Open* o : few) {
      o->round = Round::labels;
      if (!o->task && !hopeless(*o) && !best_ && !enough())
        make_task(*o), count_task(*o), note(*o, known(*o->choice).step);
    }
    if (enough()) return;
    std::vector<Picoseconds> known;
    for (const Open* o : few) known.push_back(this->known(*o->choice).step);
    const std::vector<std::size_t> left = those(few, [&](const Open& o) { return o.task && !hopeless(o); });
    in_parallel(left.size(), [&](std::size_t i) {
      Open& o = *few[left[i]];
      relax(*o.task, known[left[i]], o.relaxed);
    });
    for (std::size_t i = 0; i < few.size(); ++i)
      if (few[i]->task) note(*few[i], known[i]);
  }

  // `known`: when the bounds were made, which may leave out what does not come below it, nor below a plan that they met.
  void note(Open& o, Picoseconds known) {
    if (o.relaxed.best) known = std::min(known, o.relaxed.value.step);
    log_.counts["shortest paths"] += std::exchange(o.relaxed.solved, 0);
    o.lower_bound = std::max(o.lower_bound, o.relaxed.lower_bound);
    if (o.task->impossible()) o.relaxed.certain = kInfinite;
    o.least = std::max(o.least, no_less(std::max(o.relaxed.certain, std::min(o.lower_bound, real(known)))));
    if (o.relaxed.best) take(o, *o.relaxed.best, o.relaxed.value);
    if (hopeless(o)) release(o);
  }
  static Measure no_less(double bound) {
    return {Picoseconds{static_cast<std::int64_t>(std::min(std::ceil(bound), 1e18))}, Bytes{0}};
  }

  void take(const Open& o, const Choice& choice, const PlanValue& value) {
    if (value.measure() >= known(*o.choice)) return;
    best_ = o.task->plan(choice);
    score_ = {value.step, o.choice->batch}, largest_ = value.largest;
    log_.progress(fmt::format("{}: pp {}, micro-batches {}, {}", format(value.step), o.choice->stages,
                              o.choice->micro_batches, o.choice->schedule));
  }

  void search(Open& o) {
    if (hopeless(o) || !o.task || o.relaxed.bounds.empty()) return;
    ++log_.counts["choices searched by labels"];
    // A sketch and a narrow search first: the better the plan known, the fewer labels the whole one needs.
    const MayHave options = options_of_paths(*o.task, bounds_of(o), o.relaxed.best);
    label(o, {.labels = std::min(kSketched, (most_labels_ - labels_) / 2), .out_of_time = {}, .sketch = &options});
    if (!hopeless(o)) label(o, {.labels = kNarrow});
    if (!hopeless(o)) label(o, {.labels = most_labels_});
    release(o);
  }

  static std::vector<const Bound*> bounds_of(const Open& o) {
    std::vector<const Bound*> bounds;
    for (const auto& b : o.relaxed.bounds) bounds.push_back(b.get());
    return bounds;
  }

  void label(Open& o, LabelLimit limit) {
    limit.labels = std::min(limit.labels, most_labels_ - labels_);
    limit.out_of_time = [this] { return out_of_time(); };
    LabelResult found = search_labels(*o.task, bounds_of(o), known(*o.choice), limit);
    labels_ += found.labels;
    log_.counts["labels"] += found.labels;
    log_.counts["labels dominated"] += found.dominated;
    log_.counts["labels settled by bounds"] += found.bounded;
    if (found.best) take(o, *found.best, found.value);
    o.lower_bound = std::max(o.lower_bound, found.lower_bound);
    if (found.lower_bound < kInfinite) return;
    o.least = std::max(o.least, found.least), o.trail = std::move(found.trail);
  }

  // The gap by the bounds of all that is open.
  void tell(const std::vector<Open>& open) const {
    if (!best_) return log_.known({});
    const double reached = static_cast<double>(score_.step.value) / static_cast<double>(score_.batch);
    double bound = reached;
    for (const Open& o : open) bound = std::min(bound, per_sample(o));
    log_.known({.step = score_.step, .memory = largest_, .gap = bound > 0 ? std::optional(reached / bound - 1) : std::nullopt});
  }

  void certify() {
    if (!best_) {
      log_.status = least_open_ == kInfinite ? "infeasible, proven" : "nothing found";
      return;
    }
    const double reached = static_cast<double>(score_.step.value) / static_cast<double>(score_.batch);
    const double bound = std::min(reached, least_open_);
    log_.lower_bound = told_bound(problem_, bound, score_.batch);
    const double gap = (reached - bound) / bound;
    log_.status = gap <= 0 ? "optimal, proven" : within(gap);
  }

  // Of the plans that take as long as the best one the first, as far as that adds little to the work.
  void settle_ties() {
    log_.notes["ties"] = "local";
    if (out_of_time()) return;
    best_ = tidied(problem_, oracle_, *best_);
    if (log_.status != "optimal, proven") return;
    const std::int64_t labels = std::max(kTied, labels_ / kShareOfTies);
    const TieLimit limit{.labels = std::min(labels, most_labels_ - labels_), .out_of_time = [this] { return out_of_time(); }};
    Tied tied = first_of_ties(problem_, oracle_, *best_, std::move(may_tie_), limit);
    best_ = std::move(tied.plan);
    log_.counts["labels"] += tied.labels;
    if (tied.is_smallest) log_.notes["ties"] = tied.is_first ? "proven" : "largest stage proven";
  }

  const Problem& problem_;
  const CostOracle& oracle_;
  const Settings& settings_;
  const std::int64_t most_labels_;
  SearchLog& log_;
  const std::chrono::steady_clock::time_point start_;
  std::optional<Plan> best_;
  Score score_;
  Bytes largest_{0};  // of its stages
  std::vector<MayTie> may_tie_;
  std::int64_t labels_ = 0;
  double least_open_ = kInfinite;  // of the choices that were not searched to their end, picoseconds a sample
};

Settings settings_of(const Options& options) {
  Settings settings;
  if (options.has("limit")) {
    const Options limit = options.section("limit");
    settings.labels = limit.find<std::int64_t>("labels");
    if (settings.labels && *settings.labels < 1)
      limit.reject("labels", fmt::format("expected at least 1, found {}", *settings.labels));
    settings.seconds = limit.find<double>("seconds");
    if (settings.seconds && !(*settings.seconds > 0))
      limit.reject("seconds", fmt::format("expected more than 0, found {}", *settings.seconds));
    limit.finish();
  }
  options.finish();
  return settings;
}

class ExactFront final : public FrontSearch {
 public:
  FoundFront solve_front(const Problem& problem, const CostOracle& oracle, const BudgetRange& range, const Options& options,
                         SearchLog& log) const override {
    const Settings settings = settings_of(options);
    const auto start = std::chrono::steady_clock::now();
    const auto out_of_time = [&] {
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
      return log.stopped() || (settings.seconds && passed.count() > *settings.seconds);
    };
    return whole_front(problem, oracle, range, {.labels = settings.labels.value_or(std::numeric_limits<std::int64_t>::max()), .out_of_time = out_of_time}, log);
  }
};

class ExactSearch final : public SearchAlgorithm {
 public:
  std::optional<Plan> solve(const Problem& problem, const CostOracle& oracle, const Options& options,
                            SearchLog& log) const override {
    const Settings settings = settings_of(options);
    return Exact(problem, oracle, settings, log).run();
  }
  const void* extension(std::string_view id) const override {
    return id == kFrontSearch ? static_cast<const FrontSearch*>(&front_) : nullptr;
  }

 private:
  ExactFront front_;
};

}  // namespace
}  // namespace trellis

TRELLIS_PLUGIN("exact", "1.0.0") { registrar.add<trellis::ExactSearch>(); }
