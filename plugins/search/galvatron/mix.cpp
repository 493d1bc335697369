#include "mix.h"

#include <algorithm>
#include <limits>

namespace trellis::galvatron {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

double measure(const Item& item, Direction direction) { return direction.of(item.computed, item.reduced); }

// An exchange of layers that gains something and fits.
class Exchange {
 public:
  Exchange(const Stage& stage, Direction direction, std::vector<int>& counts)
      : stage_(stage), direction_(direction), counts_(counts) {
    for (std::size_t s = 0; s < counts.size(); ++s) free_ -= counts[s] * stage.items[s].memory;
    free_ += stage.budget;
  }

  // The best single or double exchange; false where none gains.
  bool improve() {
    best_gain_ = 0;
    for (std::size_t from = 0; from < counts_.size(); ++from) {
      if (counts_[from] == 0) continue;
      for (std::size_t to = 0; to < counts_.size(); ++to) {
        if (to == from) continue;
        const auto [memory, gain] = change(from, to);
        consider(memory, gain, {{from, to}});
        for (std::size_t other = from; other < counts_.size(); ++other) {
          if (counts_[other] < (other == from ? 2 : 1)) continue;
          for (std::size_t goal = 0; goal < counts_.size(); ++goal) {
            const auto [more, further] = change(other, goal);
            consider(memory + more, gain + further, {{from, to}, {other, goal}});
          }
        }
      }
    }
    if (best_gain_ <= 0) return false;
    free_ -= best_memory_;
    for (const auto& [from, to] : best_) --counts_[from], ++counts_[to];
    return true;
  }

 private:
  std::pair<double, double> change(std::size_t from, std::size_t to) const {
    return {stage_.items[to].memory - stage_.items[from].memory,
            measure(stage_.items[from], direction_) - measure(stage_.items[to], direction_)};
  }

  void consider(double memory, double gain, std::vector<std::pair<std::size_t, std::size_t>> moves) {
    if (memory > free_ || gain <= best_gain_ * (1 + 1e-9)) return;
    best_gain_ = gain;
    best_memory_ = memory;
    best_ = std::move(moves);
  }

  const Stage& stage_;
  Direction direction_;
  std::vector<int>& counts_;
  double free_ = 0, best_gain_ = 0, best_memory_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> best_;
};

}  // namespace

Hull::Hull(const std::vector<Item>& items, std::size_t first_item, Direction direction) {
  std::vector<std::pair<double, double>> all;
  for (std::size_t s = first_item; s < items.size(); ++s)
    all.emplace_back(items[s].memory, measure(items[s], direction));
  std::sort(all.begin(), all.end());
  for (const auto& point : all) {
    if (!points_.empty() && point.second >= points_.back().second) continue;
    const auto is_above = [&] {
      const auto& a = points_[points_.size() - 2];
      const auto& b = points_.back();
      return (b.second - a.second) * (point.first - a.first) >= (point.second - a.second) * (b.first - a.first);
    };
    while (points_.size() >= 2 && is_above()) points_.pop_back();
    if (points_.size() == 1 && points_.back().first == point.first) points_.pop_back();
    points_.push_back(point);
  }
}

double Hull::least(double memory) const {
  if (points_.empty() || memory < points_.front().first) return kInfinite;
  for (std::size_t i = 1; i < points_.size(); ++i) {
    if (memory >= points_[i].first) continue;
    const auto& [from, high] = points_[i - 1];
    const auto& [to, low] = points_[i];
    return high + (low - high) * ((memory - from) / (to - from));
  }
  return points_.back().second;
}

double Hull::price(double memory) const {
  for (std::size_t i = 1; i < points_.size(); ++i)
    if (memory < points_[i].first)
      return (points_[i - 1].second - points_[i].second) / (points_[i].first - points_[i - 1].first);
  return 0;
}

Mix mix_of(const Stage& stage, std::vector<int> counts) {
  Mix mix;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    mix.computed += counts[s] * stage.items[s].computed;
    mix.reduced += counts[s] * stage.items[s].reduced;
    mix.memory += counts[s] * stage.items[s].memory;
  }
  mix.counts = std::move(counts);
  return mix;
}

std::vector<int> good_counts(const Stage& stage, Direction direction) {
  const std::size_t size = stage.items.size();
  double best = kInfinite;
  std::size_t light = 0, heavy = 0;
  int of_heavy = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const double free = stage.budget - stage.layers * stage.items[i].memory;
    if (free < 0) continue;
    for (std::size_t j = 0; j < size; ++j) {
      const double more = stage.items[j].memory - stage.items[i].memory;
      const double gain = measure(stage.items[i], direction) - measure(stage.items[j], direction);
      int count = 0;
      if (gain > 0) count = more <= 0 || free >= more * stage.layers ? stage.layers : static_cast<int>(free / more);
      const double cost = stage.layers * measure(stage.items[i], direction) - count * gain;
      if (cost >= best) continue;
      best = cost;
      light = i, heavy = j, of_heavy = count;
    }
  }
  if (best == kInfinite) return {};
  std::vector<int> counts(size, 0);
  counts[light] += stage.layers - of_heavy;
  counts[heavy] += of_heavy;
  Exchange exchange(stage, direction, counts);
  for (int round = 0; round < 4 * stage.layers && exchange.improve(); ++round) {
  }
  return counts;
}

}  // namespace trellis::galvatron
