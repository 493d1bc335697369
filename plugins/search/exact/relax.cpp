#include "relax.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "ascent.h"
#include "first_plan.h"
#include "improve.h"
#include "reals.h"
#include "segments.h"
#include "trellis/plan/cost.h"

namespace trellis::exact_search {
namespace {

constexpr int kHalvings = 9;
constexpr int kSteps = 60;  // of prices at every layer
constexpr int kRounds = 4;  // of cuts and the prices that they lead to
constexpr double kWork = 4e8;       // steps of a bound over all cuts
constexpr std::size_t kPrices = 4;  // of memory: labels differ in what they have left

class Relaxation {
 public:
  Relaxation(const Task& task, Picoseconds known, Relaxed& result, Interest interest)
      : task_(task), known_(known), interest_(interest), result_(result), weights_(result.weights) {
    if (weights_.empty()) weights_ = plain_weights(task);
  }

  void freely() {
    raise(additive_bound(task_));
    if (hopeless()) return;
    if (task_.stages() > 1) {
      solve(plain_weights(task_), Stages::one);
      if (hopeless()) return;
      // All stages once, and the slowest of the best balanced cut for the micro-batches that are left.
      const double chain = solve(chain_weights(task_), Stages::one)->total();
      const auto [most, ends] = slowest();
      raise(chain + most);
      if (!hopeless()) meet(first_plan(task_, ends));
      return;
    }
    meet(first_plan(task_, {task_.layers() - 1}));
    auto free = solve(weights_, Stages::all);
    if (!hopeless()) result_.free_path_fits = meet(free->path());
    // What its reductions take may be more than its backward.
    Weights alone = weights_;
    reduce_alone(task_, alone.front());
    if (!hopeless())
      if (const auto other = solve(alone, Stages::all); other->total() > free->total()) {
        weights_ = alone, free = other;
        if (!hopeless()) result_.free_path_fits = meet(free->path());
      }
    result_.bounds.push_back(free);
  }

  void rest() {
    if (hopeless()) return;
    if (task_.stages() > 1) return pipeline();
    if (!result_.free_path_fits) price_memory();
    make_better();
  }

 private:
  bool hopeless() const { return result_.lower_bound >= static_cast<double>(known_.value); }

  std::shared_ptr<const Bound> solve(Weights weights, Stages how, const std::vector<int>* ends = nullptr) {
    auto bound = std::make_shared<const Bound>(task_, std::move(weights), how, ends);
    ++result_.solved;
    if (how != Stages::given) raise(bound->total());
    if (how != Stages::given && result_.keeps_lines) keep_line(*bound);
    return bound;
  }
  void keep_line(const Bound& bound) {
    const int stages = bound.stages();
    double paid = 0;
    for (int s = 0; s < stages; ++s) paid += bound.stage(s).budget();
    const Bytes budget = task_.stage(0).budget;
    if (bound.total() < kInfinite) result_.lines.push_back({bound.total() + paid, paid / real(budget)});
  }
  void raise(double bound) {
    result_.certain = std::max(result_.certain, bound * (1 - kRounding));
    result_.lower_bound = std::max(result_.lower_bound, result_.certain);
  }

  // Whether it fits; the best one stays.
  bool meet(const Choice& choice) {
    if (choice.options.empty()) return false;
    const PlanValue value = task_.value(choice);
    if (result_.met) result_.met(choice, value);
    if (!value.fits) return false;
    if (value.step >= known_ || (result_.best && value.step >= result_.value.step)) return true;
    result_.best = choice, result_.value = value;
    lower();
    return true;
  }

  // A price for all stages alike: the bound is concave in it. Where the cheapest plans are too large and the next too
  // slow, mixtures of both are tried.
  void price_memory() {
    double low = 0, high = first_price();
    const std::shared_ptr<const Bound> free = result_.bounds.front();
    Choice large = free->path(), small;
    std::vector<std::shared_ptr<const Bound>> tried;
    const auto at = [&](double price) { return tried.emplace_back(solve(priced(price), Stages::all)); };
    for (int doublings = 0; doublings < 40; ++doublings, low = high, high *= 4) {
      const Choice path = at(high)->path();
      if (hopeless()) return;
      if (meet(path)) {
        small = path;
        break;
      }
      // The bound falls: a dearer price proves nothing more.
      if (tried.size() > 2 && tried.back()->total() < tried[tried.size() - 2]->total() && doublings > 8) break;
    }
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = low == 0 ? high / 4 : std::sqrt(low * high);
      const Choice path = at(middle)->path();
      if (hopeless()) return;
      if (meet(path)) high = middle, small = path;
      else low = middle, large = path;
    }
    price_places(tried);
    if (hopeless()) return;
    std::ranges::stable_sort(tried, [](const auto& a, const auto& b) { return a->total() > b->total(); });
    tried.resize(std::min<std::size_t>(tried.size(), kPrices));
    result_.bounds.insert(result_.bounds.begin(), tried.begin(), tried.end());
    if (!small.options.empty() && small.ends == large.ends) mix(large, small);
  }

  // On from the best price at the last layer to prices at every one.
  void price_places(std::vector<std::shared_ptr<const Bound>>& tried) {
    if (hopeless()) return;
    const auto highest = std::ranges::max_element(tried, {}, [](const auto& b) { return b->total(); });
    Weights from = weights_;
    from.front().memory = (*highest)->stage(0).weights().memory;
    const Ascent ascent = ascend(task_, from, {task_.layers() - 1}, kSteps, [&](const Weights& w) {
      if (hopeless()) return std::shared_ptr<const Bound>();
      auto bound = solve(w, Stages::all);
      meet(bound->path());
      return bound;
    });
    tried.insert(tried.end(), ascent.tried.begin(), ascent.tried.end());
  }

  void make_better() {
    if (!result_.best || hopeless()) return;
    improve(task_, *result_.best, result_.value);
    lower();
  }
  void lower() {
    if (interest_ == Interest::best) known_ = std::min(known_, result_.value.step);
  }

  Weights priced(double price) const {
    Weights w = weights_;
    for (StageWeights& stage : w) stage.memory = price;
    return w;
  }

  // Of the order that would let the cheapest plan pay for its memory with its time.
  double first_price() const {
    double bytes = 0;
    for (int s = 0; s < task_.stages(); ++s) bytes += static_cast<double>(task_.stage(s).budget.value);
    return result_.lower_bound / std::max(1.0, bytes) / 64;
  }

  // The first layers of one and the last of the other, both ways.
  void mix(const Choice& large, const Choice& small) {
    for (const bool large_first : {true, false}) {
      Choice mixed = large_first ? small : large;
      for (std::size_t i = 0; i < mixed.options.size(); ++i) {
        mixed.options[i] = (large_first ? large : small).options[i];
        meet(mixed);
      }
    }
  }

  // --- pipelines ---

  // What a bound over all cuts takes beside one over a single stage.
  bool affordable() const {
    double work = static_cast<double>(task_.layers()) * task_.stages() * static_cast<double>(task_.gathers().size());
    double most = 0;
    for (const Kind& k : task_.kinds())
      most = std::max(most, static_cast<double>(k.leaving.first.size() * k.arriving.first.size()));
    return work * most < kWork;
  }

  void pipeline() {
    cut();
    make_better();
    if (hopeless()) return;
    const double price = best_price();
    if (hopeless() || !affordable()) return;
    result_.bounds.push_back(solve(priced(price), Stages::all));
    result_.bounds.push_back(solve(plain_weights(task_), Stages::all));
    if (!hopeless()) result_.bounds.push_back(solve(chain_weights(task_), Stages::all));
  }

  // The bound is concave in the price of memory.
  double best_price() {
    double best = 0, most = -1, step = 4;
    const auto at = [&](double price) {
      const double total = solve(priced(price), Stages::one)->total();
      if (total > most) most = total, best = price;
      return total;
    };
    at(0);
    double last = most;
    for (double price = first_price(); price < first_price() * 1e12; price *= step) {
      const double total = at(price);
      if (hopeless() || (total < last && price > first_price())) break;
      last = total;
    }
    for (int i = 0; i < 4 && best > 0 && !hopeless(); ++i) {
      step = std::sqrt(step);
      const double middle = best;
      at(middle * step), at(middle / step);
    }
    return best;
  }

  // The cut of the bound tells the prices of memory that raise the bound the most.
  void cut() {
    Segments segments(task_, known_);
    std::vector<double> prices(static_cast<std::size_t>(task_.stages()), 0);
    std::set<std::vector<int>> seen;
    for (int round = 0; round < kRounds; ++round) {
      result_.solved += segments.price(prices) / task_.layers();
      segments.enumerate();
      result_.lower_bound = std::max(result_.lower_bound, segments.least_limit(result_.lower_bound) * (1 - kRounding));
      if (!hopeless()) result_.lower_bound = std::max(result_.lower_bound, segments.replayed());
      const Segments::Best best = segments.best();
      result_.lower_bound = std::max(result_.lower_bound, best.bound * (1 - kRounding));
      if (hopeless() || best.ends.empty()) return;
      if (!seen.insert(best.ends).second && round > 1) return;
      if (const std::optional<Choice> plan = segments.fastest(best.ends)) {
        meet(*plan);
        if (round > 0) return;
      }
      prices = solve_cut(best.ends);
      if (std::ranges::all_of(prices, [](double price) { return price == 0; })) return;
    }
  }

  // By the fastest option of each layer: the cut whose slowest stage is the fastest, and what that one adds to the
  // chain.
  std::pair<double, std::vector<int>> slowest() const {
    const auto layers = static_cast<std::size_t>(task_.layers()), stages = static_cast<std::size_t>(task_.stages());
    std::vector<std::vector<double>> worst(stages + 1, std::vector<double>(layers + 1, kInfinite));
    std::vector<std::vector<std::size_t>> begin(stages + 1, std::vector<std::size_t>(layers + 1, 0));
    worst[0][0] = 0;
    for (std::size_t s = 1; s <= stages; ++s) {
      const std::vector<double> sum = sums(static_cast<int>(s) - 1);
      for (std::size_t n = s; n <= layers; ++n)
        for (std::size_t k = s - 1; k < n; ++k) {
          const double most = std::max(worst[s - 1][k], sum[n] - sum[k]);
          if (most < worst[s][n]) worst[s][n] = most, begin[s][n] = k;
        }
    }
    std::vector<int> ends(stages);
    for (std::size_t s = stages, n = layers; s > 0; n = begin[s][n], --s) ends[s - 1] = static_cast<int>(n) - 1;
    return {worst[stages][layers], ends};
  }

  // What the first n layers add at the least, were they in this stage.
  std::vector<double> sums(int stage) const {
    const StageShape& shape = task_.stage(stage);
    std::vector<double> by_kind;
    for (const Kind& kind : task_.kinds()) {
      double least = kInfinite;
      for (int o = 0; o < static_cast<int>(kind.options.size()); ++o) {
        const LayerCost& c = task_.cost(kind.layer, o, stage);
        least = std::min(least, shape.extra_forward * static_cast<double>(c.forward.busy.value) +
                                    shape.extra_backward * static_cast<double>(c.backward.busy.value));
      }
      by_kind.push_back(least);
    }
    std::vector<double> sum{0};
    for (int i = 0; i < task_.layers(); ++i)
      sum.push_back(sum.back() + by_kind[static_cast<std::size_t>(task_.kind_number(i))]);
    return sum;
  }

  // Each stage's price rises while the stage is too large.
  std::vector<double> solve_cut(const std::vector<int>& ends) {
    Weights w = plain_weights(task_);
    const auto prices = [&] {
      std::vector<double> all;
      for (std::size_t s = 0; s < w.size(); ++s)
        all.push_back(w[s].memory.total() * (1 + task_.stage(static_cast<int>(s)).extra_backward) / w[s].backward);
      return all;
    };
    std::vector<double> low(w.size(), 0), high(w.size(), -1);
    Choice before;
    for (int i = 0; i < kHalvings; ++i) {
      const Choice path = solve(w, Stages::given, &ends)->path();
      if (path.options.empty()) return prices();
      meet(path);
      const PlanValue value = task_.value(path);
      if (path == before && value.fits) return prices();
      before = path;
      bool all_cheap = true;
      for (std::size_t s = 0; s < w.size(); ++s) {
        const bool fits = value.memory[s] <= task_.stage(static_cast<int>(s)).budget;
        if (fits && w[s].memory.total() == 0) continue;
        all_cheap = false;
        (fits ? high : low)[s] = w[s].memory.total();
        w[s].memory = high[s] < 0   ? std::max(first_price(), w[s].memory.total() * 4)
                      : low[s] == 0 ? high[s] / 4
                                    : std::sqrt(low[s] * high[s]);
      }
      if (all_cheap) break;
    }
    return prices();
  }

  const Task& task_;
  Picoseconds known_;
  const Interest interest_;
  Relaxed& result_;
  Weights& weights_;
};

}  // namespace

void relax_freely(const Task& task, Picoseconds known, Relaxed& result, Interest interest) {
  Relaxation(task, known, result, interest).freely();
}
void relax(const Task& task, Picoseconds known, Relaxed& result, Interest interest) {
  Relaxation(task, known, result, interest).rest();
}

}  // namespace trellis::exact_search
