#include "labels.h"

#include <algorithm>
#include <map>

namespace trellis::dynamic_programming {
namespace {

// The memory of the layers from some layer to the end of the stage.
struct Footprint {
  Bytes states{0}, kept{0}, pending{0};
  Bytes peak{0};        // of one micro-batch: what is kept, and the largest transient on top of it
  Bytes last_peak{0};   // the same in the last backward, beside the reductions that it has started

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
  int next = -1;     // candidate of the layer after
  int label = -1;    // and its label
};
using Labels = std::vector<Label>;

// No label is left that is neither faster nor smaller than another, and at most one in a cell.
void thin_out(Labels& labels, int in_flight, Bytes budget, int cells) {
  std::ranges::sort(labels, [](const Label& a, const Label& b) { return std::pair(a.total, a.time) < std::pair(b.total, b.time); });
  const double cell = std::max(1.0, static_cast<double>(budget.value) / cells);
  std::map<Picoseconds, Bytes> stairs;   // of the labels so far: to a time the least base, falling
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
    const auto memory = [&](std::size_t c) { return layer[c].states + layer[c].kept * problem.in_flight + layer[c].transient + layer[c].pending; };
    int best = -1;
    for (std::size_t c = 0; c < layer.size(); ++c)
      if (layer[c].transient != kImpossible && (best < 0 || memory(c) < memory(static_cast<std::size_t>(best)))) best = static_cast<int>(c);
    if (best < 0) return std::nullopt;
    solution.candidates.insert(solution.candidates.begin(), best);
    footprint.prepend(layer[static_cast<std::size_t>(best)]);
  }
  solution.memory = footprint.total(problem.in_flight);
  return solution;
}

std::optional<StageSolution> solve_stage(const StageProblem& problem, Bytes budget, int cells, std::int64_t& count) {
  std::vector<std::vector<Labels>> table(problem.layers.size());   // [layer][candidate]
  for (std::size_t i = problem.layers.size(); i-- > 0;) {
    const auto& layer = problem.layers[i];
    table[i].resize(layer.size());
    for (std::size_t c = 0; c < layer.size(); ++c) {
      if (layer[c].transient == kImpossible) continue;
      const auto add = [&](Label label, Picoseconds edge) {
        label.footprint.prepend(layer[c]);
        label.total = label.footprint.total(problem.in_flight);
        label.time += edge + layer[c].time;
        if (label.total <= budget) table[i][c].push_back(label);
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
  if (!best) return std::nullopt;
  StageSolution solution{.candidates = {}, .time = best->time, .memory = best->total};
  for (std::size_t i = 0; candidate >= 0; ++i) {
    solution.candidates.push_back(candidate);
    candidate = best->next;
    if (candidate >= 0) best = &table[i + 1][static_cast<std::size_t>(candidate)][static_cast<std::size_t>(best->label)];
  }
  return solution;
}

}  // namespace trellis::dynamic_programming
