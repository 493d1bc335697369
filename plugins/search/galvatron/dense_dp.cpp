#include "dense_dp.h"

#include <algorithm>
#include <array>
#include <limits>

namespace trellis::galvatron {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr std::int64_t kBlock = 512;  // rows at a time: best costs and marks stay in the first cache

// Lowers best[k] to (from[k] + transition) + cost and notes the strategy, where that is less. One type of lane for all,
// so that compilers make vectors of it; clones, because the build is for any x86-64.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void lower(double* __restrict best, double* __restrict mark, const double* __restrict from, double transition,
           double cost, double strategy, std::int64_t count) {
  for (std::int64_t k = 0; k < count; ++k) {
    const double candidate = (from[k] + transition) + cost;
    const bool is_less = candidate < best[k];
    mark[k] = is_less ? strategy : mark[k];
    best[k] = is_less ? candidate : best[k];
  }
}

}  // namespace

DenseDp::DenseDp(const StageProblem& problem, std::int64_t lowest, std::int64_t highest)
    : problem_(problem),
      lowest_(std::max<std::int64_t>(lowest, 0)),
      highest_(highest),
      strategies_(static_cast<int>(problem.memory.size())) {
  const auto [least, most] = std::minmax_element(problem_.memory.begin(), problem_.memory.end());
  least_memory_ = *least;
  most_memory_ = *most;
  if (highest_ < problem_.layers * least_memory_) highest_ = -1;  // nothing fits
  if (highest_ < 0) return;
  const auto cells = static_cast<std::size_t>(strategies_) * static_cast<std::size_t>(highest_ + 1);
  now_.assign(cells, kInfinite);
  before_.assign(cells, kInfinite);
  marks_.resize(static_cast<std::size_t>(problem_.layers));
  first_layer();
  for (int layer = 1; layer < problem_.layers; ++layer) next_layer(layer);
}

// The rows that matter: those from which the asked ones can be reached, but for those where nothing fits.
DenseDp::Rows DenseDp::rows_of(int layer) const {
  const std::int64_t behind = problem_.layers - 1 - layer;
  return {std::max(lowest_ - behind * most_memory_, (layer + 1) * least_memory_), highest_ - behind * least_memory_};
}

void DenseDp::first_layer() {
  const Rows rows = rows_of(0);
  for (int s = 0; s < strategies_; ++s) {
    // From any strategy at no cost; the least transition into s is that from itself, 0.
    double* row = now_.data() + s * (highest_ + 1);
    const std::int64_t first = std::max(rows.first, problem_.memory[static_cast<std::size_t>(s)]);
    for (std::int64_t v = first; v <= rows.last; ++v) row[v] = problem_.cost[static_cast<std::size_t>(s)];
  }
}

void DenseDp::next_layer(int layer) {
  std::swap(now_, before_);
  const Rows rows = rows_of(layer);
  auto& marks = marks_[static_cast<std::size_t>(layer)];
  marks.assign(static_cast<std::size_t>(strategies_ * std::max<std::int64_t>(rows.size(), 0)), 0);
  std::array<double, kBlock> mark;
  for (int s = 0; s < strategies_; ++s) {
    double* row = now_.data() + s * (highest_ + 1);
    const std::int64_t memory = problem_.memory[static_cast<std::size_t>(s)];
    const std::int64_t possible = std::max(rows.first, rows_of(layer - 1).first + memory);
    std::fill(row, row + rows.last + 1, kInfinite);
    for (std::int64_t v = possible; v <= rows.last; v += kBlock) {
      const std::int64_t count = std::min(kBlock, rows.last - v + 1);
      mark.fill(0);
      for (int from = 0; from < strategies_; ++from)
        lower(row + v, mark.data(), before_.data() + from * (highest_ + 1) + v - memory,
              problem_.transition[static_cast<std::size_t>(from * strategies_ + s)],
              problem_.cost[static_cast<std::size_t>(s)], from, count);
      for (std::int64_t k = 0; k < count; ++k)
        marks[static_cast<std::size_t>(s * rows.size() + v + k - rows.first)] =
            static_cast<std::uint16_t>(mark[static_cast<std::size_t>(k)]);
    }
  }
}

std::optional<DenseDp::Answer> DenseDp::at(std::int64_t row) const {
  if (row < lowest_ || row > highest_) return std::nullopt;
  int strategy = 0;
  const auto cost = [&](int s) { return now_[static_cast<std::size_t>(s * (highest_ + 1) + row)]; };
  for (int s = 1; s < strategies_; ++s)
    if (cost(s) < cost(strategy)) strategy = s;
  if (cost(strategy) == kInfinite) return std::nullopt;
  Answer answer{cost(strategy), std::vector<int>(static_cast<std::size_t>(problem_.layers)), row};
  for (int layer = problem_.layers - 1; layer >= 0; --layer) {
    answer.strategies[static_cast<std::size_t>(layer)] = strategy;
    const std::int64_t here = answer.remaining;
    answer.remaining -= problem_.memory[static_cast<std::size_t>(strategy)];
    if (layer == 0) break;
    const Rows rows = rows_of(layer);
    strategy =
        marks_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(strategy * rows.size() + here - rows.first)];
  }
  return answer;
}

}  // namespace trellis::galvatron
