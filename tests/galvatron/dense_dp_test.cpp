#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "dense_dp.h"

namespace trellis::galvatron {
namespace {

// The reference's loop as it is defined: rows downwards and in place, the first of equals.
struct Plainly {
  std::vector<std::vector<double>> f;
  std::vector<std::vector<std::vector<int>>> marks;

  Plainly(const StageProblem& p, std::int64_t rows) {
    const std::size_t count = p.memory.size();
    f.assign(static_cast<std::size_t>(rows), std::vector<double>(count, 0));
    for (int layer = 0; layer < p.layers; ++layer) {
      marks.emplace_back(f.size(), std::vector<int>(count, -1));
      for (std::int64_t v = rows - 1; v >= 0; --v)
        for (std::size_t s = 0; s < count; ++s) {
          double& here = f[static_cast<std::size_t>(v)][s];
          if (v < p.memory[s]) {
            here = std::numeric_limits<double>::infinity();
            continue;
          }
          double best = std::numeric_limits<double>::infinity();
          int mark = 0;
          for (std::size_t from = 0; from < count; ++from) {
            const double candidate =
                f[static_cast<std::size_t>(v - p.memory[s])][from] + p.transition[from * count + s] + p.cost[s];
            if (candidate < best) best = candidate, mark = static_cast<int>(from);
          }
          here = best;
          marks.back()[static_cast<std::size_t>(v)][s] = mark;
        }
    }
  }

  std::vector<int> at(const StageProblem& p, std::int64_t row) const {
    const auto& last = f[static_cast<std::size_t>(row)];
    int strategy = static_cast<int>(std::min_element(last.begin(), last.end()) - last.begin());
    if (last[static_cast<std::size_t>(strategy)] == std::numeric_limits<double>::infinity()) return {};
    std::vector<int> sequence(static_cast<std::size_t>(p.layers));
    for (int layer = p.layers - 1; layer >= 0; --layer) {
      sequence[static_cast<std::size_t>(layer)] = strategy;
      const std::int64_t here = row;
      row -= p.memory[static_cast<std::size_t>(strategy)];
      if (layer > 0)
        strategy =
            marks[static_cast<std::size_t>(layer)][static_cast<std::size_t>(here)][static_cast<std::size_t>(strategy)];
    }
    return sequence;
  }
};

StageProblem random_problem(std::mt19937& random) {
  const auto pick = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  const int count = pick(1, 5);
  StageProblem p{pick(1, 6), {}, {}, {}};
  for (int s = 0; s < count; ++s) {
    p.memory.push_back(pick(1, 12));
    p.cost.push_back(pick(1, 9) * 0.125);  // many ties
  }
  for (int from = 0; from < count; ++from)
    for (int to = 0; to < count; ++to) p.transition.push_back(from == to ? 0 : pick(0, 3) * 0.0625);
  return p;
}

TEST_CASE("rows, sequences and ties are those of the reference's loop, on 400 random problems") {
  std::mt19937 random(7);
  for (int i = 0; i < 400; ++i) {
    const StageProblem p = random_problem(random);
    const std::int64_t rows = 61;
    const Plainly plainly(p, rows);
    const std::int64_t lowest = std::uniform_int_distribution<int>(0, 60)(random);
    const DenseDp dp(p, lowest, rows - 1);
    for (std::int64_t row = lowest; row < rows; ++row) {
      const std::vector<int> expected = plainly.at(p, row);
      const auto found = dp.at(row);
      REQUIRE(found.has_value() == !expected.empty());
      if (!found) continue;
      REQUIRE(found->strategies == expected);
      const auto& last = plainly.f[static_cast<std::size_t>(row)];
      REQUIRE(found->cost == *std::min_element(last.begin(), last.end()));
      std::int64_t used = 0;
      for (const int s : expected) used += p.memory[static_cast<std::size_t>(s)];
      REQUIRE(found->remaining == row - used);
    }
  }
}

TEST_CASE("nothing fits below the least memory of all layers") {
  const StageProblem p{3, {5, 7}, {2, 1}, {0, 0, 0, 0}};
  CHECK_FALSE(DenseDp(p, 0, 14).at(14));
  CHECK(DenseDp(p, 0, 15).at(15)->strategies == std::vector<int>{0, 0, 0});
  CHECK(DenseDp(p, 0, 1000).at(1000)->cost == 3);
}

}  // namespace
}  // namespace trellis::galvatron
