#include "labels.h"

#include <algorithm>
#include <map>

namespace trellis::dynamic_programming {
namespace {

// The memory of the layers from some layer to the end of the stage.
struct Footprint {
  Bytes states{0}, kept{0}, pending{0};
  Bytes peak{0};       // of one micro-batch: what is kept, and the largest transient on top of it
  Bytes last_peak{0};  // the same in the last backward, beside the reductions that it has started

  void prepend(const StageProblem::Option& o) {
    states += o.states, kept += o.kept;
    peak = o.kept + std::max(o.transient, peak);
    last_peak = o.kept + std::max(o.transient + pending, last_peak);
    pending += o.pending;
  }
  // Beside the micro-batches that are in flight meanwhile.
  Bytes total(int in_flight) const { return std::max({base(in_flight) + peak, states + last_peak, states + pending}); }
  Bytes base(int in_flight) const { return states + kept * (in_flight - 1); }
};

struct Label {
  Footprint footprint;
  Bytes total{0};
  Picoseconds time{0};
  int next = -1;   // candidate of the layer after
  int label = -1;  // and its label
};
using Labels = std::vector<Label>;

// No label is left that is neither faster nor smaller than another, and at most one in a cell.
void thin_out(Labels& labels, int in_flight, Bytes budget, int cells) {
  std::ranges::sort(
      labels, [](const Label& a, const Label& b) { return std::pair(a.total, a.time) < std::pair(b.total, b.time); });
  const double cell = std::max(1.0, static_cast<double>(budget.value) / cells);
  std::map<Picoseconds, Bytes> stairs;  // of the labels so far: to a time the least base, falling
  Labels kept;
  std::int64_t last_cell = -1;
  for (const Label& label : labels) {
    const Bytes base = label.footprint.base(in_flight) + label.footprint.pending;
    auto faster = stairs.upper_bound(label.time);
    if (faster != stairs.begin() && std::prev(faster)->second <= base) continue;
    while (faster != stairs.end() && faster->second >= base) faster = stairs.erase(faster);
    stairs[label.time] = base;
    const auto mine = static_cast<std::int64_t>(static_cast<double>(label.total.value) / cell);
    if (mine != last_cell) kept.push_back(label);
    else if (label.time < kept.back().time) kept.back() = label;
    last_cell = mine;
  }
  labels = std::move(kept);
}

}  // namespace

std::optional<StageSolution> least_memory(const StageProblem& problem) {
  StageSolution solution;
  Footprint footprint;
  for (std::size_t i = problem.layers.size(); i-- > 0;) {
    const auto& layer = problem.layers[i];
    const auto memory = [&](std::size_t c) {
      return layer[c].states + layer[c].kept * problem.in_flight + layer[c].transient + layer[c].pending;
    };
    int best = -1;
    for (std::size_t c = 0; c < layer.size(); ++c)
      if (layer[c].transient != kImpossible && (best < 0 || memory(c) < memory(static_cast<std::size_t>(best))))
        best = static_cast<int>(c);
    if (best < 0) return std::nullopt;
    solution.candidates.insert(solution.candidates.begin(), best);
    footprint.prepend(layer[static_cast<std::size_t>(best)]);
  }
  solution.memory = footprint.total(problem.in_flight);
  return solution;
}

namespace {

// The problem with its memory constraint relaxed: bytes (without transients, so never too many) cost `price` each.
class Relaxation {
 public:
  Relaxation(const StageProblem& problem, Bytes budget)
      : problem_(problem), budget_(static_cast<double>(budget.value)) {}

  // Fills the table for a price; returns the lower bound of the time within the budget.
  double solve(double price) {
    price_ = price;
    best_.assign(problem_.layers.size(), {});
    from_.assign(problem_.layers.size(), {});
    for (std::size_t i = 0; i < problem_.layers.size(); ++i) {
      const auto& layer = problem_.layers[i];
      best_[i].resize(layer.size()), from_[i].resize(layer.size());
      for (std::size_t c = 0; c < layer.size(); ++c) {
        const auto [before, from] = arrive(i, c);
        best_[i][c] = layer[c].transient == kImpossible
                          ? kNever
                          : before + static_cast<double>(layer[c].time.value) + price * bytes(layer[c]);
        from_[i][c] = from;
      }
    }
    return *std::ranges::min_element(best_.back()) - price * budget_;
  }

  // The cheapest way to the candidate c of layer i, without its own cost: what precedes it in the stage.
  std::pair<double, int> arrive(std::size_t i, std::size_t c) const {
    if (i == 0) return {0, -1};
    double least = kNever;
    int from = -1;
    for (std::size_t p = 0; p < best_[i - 1].size(); ++p) {
      const double cost = best_[i - 1][p] + static_cast<double>((*problem_.edges[i - 1])[p][c].value);
      if (from < 0 || cost < least) least = cost, from = static_cast<int>(p);
    }
    return {least, from};
  }

  // The path that the price prefers.
  StageSolution path() const {
    StageSolution solution;
    Footprint footprint;
    auto c = static_cast<int>(std::ranges::min_element(best_.back()) - best_.back().begin());
    for (std::size_t i = problem_.layers.size(); i-- > 0;) {
      const auto& option = problem_.layers[i][static_cast<std::size_t>(c)];
      if (!solution.candidates.empty())
        solution.time +=
            (*problem_.edges[i])[static_cast<std::size_t>(c)][static_cast<std::size_t>(solution.candidates.front())];
      solution.candidates.insert(solution.candidates.begin(), c);
      solution.time += option.time;
      footprint.prepend(option);
      c = from_[i][static_cast<std::size_t>(c)];
    }
    solution.memory = footprint.total(problem_.in_flight);
    return solution;
  }

  double bytes(const StageProblem::Option& o) const {
    return static_cast<double>((o.states + o.kept * problem_.in_flight).value);
  }
  double price() const { return price_; }
  double budget() const { return budget_; }

 private:
  static constexpr double kNever = 1e30;
  const StageProblem& problem_;
  double budget_, price_ = 0;
  std::vector<std::vector<double>> best_;
  std::vector<std::vector<int>> from_;
};

// The price with the highest bound (which is concave in it), by bisection between 0 and where memory decides alone; the
// paths on the way that fit improve `known`. Leaves the table of the best price.
double best_price(Relaxation& relaxation, Bytes budget, std::optional<StageSolution>& known, Picoseconds& limit) {
  const auto consider = [&] {
    StageSolution path = relaxation.path();
    if (path.memory <= budget && path.time < limit) limit = path.time, known = path;
    return path;
  };
  double best_bound = relaxation.solve(0), best = 0;
  if (consider().memory <= budget) return best_bound;
  double low = 0, high = 64 * std::max(1.0, best_bound) / std::max(1.0, relaxation.budget());
  for (int step = 0; step < 24; ++step) {
    const double middle = step == 0 ? high : (low + high) / 2;
    const double bound = relaxation.solve(middle);
    if (bound > best_bound) best_bound = bound, best = middle;
    (consider().memory <= budget ? high : low) = middle;
    if (low >= high) break;  // not even the highest price makes it fit
  }
  return relaxation.solve(best);
}

}  // namespace

std::optional<StageSolution> solve_stage(const StageProblem& problem, Bytes budget, Picoseconds limit, int cells,
                                         std::int64_t& count) {
  std::optional<StageSolution> known;
  Relaxation relaxation(problem, budget);
  if (best_price(relaxation, budget, known, limit) >= static_cast<double>(limit.value)) return known;

  std::vector<std::vector<Labels>> table(problem.layers.size());  // [layer][candidate]
  for (std::size_t i = problem.layers.size(); i-- > 0;) {
    const auto& layer = problem.layers[i];
    table[i].resize(layer.size());
    for (std::size_t c = 0; c < layer.size(); ++c) {
      if (layer[c].transient == kImpossible) continue;
      const double before = relaxation.arrive(i, c).first - relaxation.price() * relaxation.budget();
      const auto add = [&](Label label, Picoseconds edge) {
        label.footprint.prepend(layer[c]);
        label.total = label.footprint.total(problem.in_flight);
        label.time += edge + layer[c].time;
        if (label.total > budget) return;
        const double bytes =
            static_cast<double>((label.footprint.states + label.footprint.kept * problem.in_flight).value);
        if (before + static_cast<double>(label.time.value) + relaxation.price() * bytes <
            static_cast<double>(limit.value))
          table[i][c].push_back(label);
      };
      if (i + 1 == problem.layers.size()) {
        add({}, {});
      } else {
        for (std::size_t n = 0; n < table[i + 1].size(); ++n)
          for (std::size_t l = 0; l < table[i + 1][n].size(); ++l) {
            Label label = table[i + 1][n][l];
            label.next = static_cast<int>(n), label.label = static_cast<int>(l);
            add(label, (*problem.edges[i])[c][n]);
          }
      }
      thin_out(table[i][c], problem.in_flight, budget, cells);
      count += static_cast<std::int64_t>(table[i][c].size());
    }
  }
  const Label* best = nullptr;
  int candidate = -1;
  for (std::size_t c = 0; c < table[0].size(); ++c)
    for (const Label& label : table[0][c])
      if (!best || label.time < best->time) best = &label, candidate = static_cast<int>(c);
  if (!best || best->time >= limit) return known;
  StageSolution solution{.candidates = {}, .time = best->time, .memory = best->total};
  for (std::size_t i = 0; candidate >= 0; ++i) {
    solution.candidates.push_back(candidate);
    candidate = best->next;
    if (candidate >= 0)
      best = &table[i + 1][static_cast<std::size_t>(candidate)][static_cast<std::size_t>(best->label)];
  }
  return solution;
}

}  // namespace trellis::dynamic_programming
