// The reference's dynamic programming over one stage of equal layers: whole MB, costs of one micro-batch with gradient
// reduction, and transitions between strategies that follow each other.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trellis::galvatron {

struct StageProblem {
  int layers = 1;
  std::vector<std::int64_t> memory;  // MB of a layer by strategy, rounded up; at least 1
  std::vector<double> cost;          // seconds by strategy
  std::vector<double> transition;    // [from * strategies + to]
};

// Solves all rows (MB that the layers may use) from `lowest` to `highest` at once: the reference runs it again for
// every choice of the vocabulary layers, though only the row to look at differs.
//
// The answers are bit for bit those of its loop over rows, downwards and in place: cost(row, s) of i layers is the
// least, over s' in order and the first of equals, of (cost of i - 1 layers (row - memory(s), s') + transition(s', s))
// + cost(s). In place it reads rows below the one it writes; with a layer of 0 MB it would read what it just wrote (a
// defect that cannot be reached: states are never empty).
class DenseDp {
 public:
  DenseDp(const StageProblem&, std::int64_t lowest, std::int64_t highest);

  struct Answer {
    double cost = 0;
    std::vector<int> strategies;  // of each layer
    std::int64_t remaining = 0;   // MB
  };
  std::optional<Answer> at(std::int64_t row) const;

 private:
  struct Rows {
    std::int64_t first = 0, last = -1;  // inclusive
    std::int64_t size() const { return last - first + 1; }
  };
  Rows rows_of(int layer) const;
  void first_layer();
  void next_layer(int layer);

  StageProblem problem_;
  std::int64_t lowest_, highest_, least_memory_, most_memory_;
  int strategies_;
  std::vector<double> now_, before_;               // [strategy][row from 0]
  std::vector<std::vector<std::uint16_t>> marks_;  // by layer: [strategy][row of rows_of(layer)]
};

}  // namespace trellis::galvatron
