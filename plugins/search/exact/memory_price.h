// What a byte of a stage costs in a bound, in picoseconds, by where the stage's peak may be.
//
// A stage has to fit beside every one of its layers, in any micro-batch and in the last one's backward, which also
// reduces (StageTotal::memory). Each of these places is a constraint with a price of its own: what a layer keeps counts
// at the places of later layers, what its reductions stage at those of earlier ones, what it has for a while at its own.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

namespace trellis::exact_search {

class MemoryPrice {
 public:
  // A depth where it does not matter how many layers of the stage are to come, or is not known: the price is one that
  // is at the last layer alone.
  static constexpr int kWithin = 1 << 30;

  // All at the last layer of the stage.
  MemoryPrice(double total = 0) : MemoryPrice({total}, {}) {}
  // By depth: how many layers of the stage follow. What is deeper than the stage's first layer is before it.
  MemoryPrice(std::vector<double> passes, std::vector<double> last_backward)
      : passes_(std::move(passes)), last_backward_(std::move(last_backward)) {
    for (double sum = 0; const double price : passes_) up_to_passes_.push_back(sum += price);
    for (double sum = 0; const double price : last_backward_) up_to_last_.push_back(sum += price);
  }

  // Of states, and of the budget.
  double total() const { return all_passes() + all_last(); }
  // Of what a layer has for a while, above what it keeps.
  double passes(int depth) const { return at(passes_, depth); }
  double last_backward(int depth) const { return at(last_backward_, depth); }
  // Of what reductions stage that begin early.
  double early() const { return all_passes(); }
  // Of what a layer keeps: at its own place and those of later layers; of all micro-batches but one everywhere.
  double kept(int depth, int in_flight) const { return (in_flight - 1) * all_passes() + ahead(depth) + last_ahead(depth); }
  // Of the most that a stage needs beside layers that are behind, and of what a layer's reductions stage there.
  double behind(int depth) const { return std::max(0.0, all_passes() - ahead(depth)); }
  double last_behind(int depth) const { return std::max(0.0, all_last() - last_ahead(depth)); }

 private:
  static double at(const std::vector<double>& prices, int depth) {
    return depth < static_cast<int>(prices.size()) ? prices[static_cast<std::size_t>(depth)] : 0;
  }
  static double up_to(const std::vector<double>& sums, int depth) {
    return sums.empty() ? 0 : sums[std::min(sums.size() - 1, static_cast<std::size_t>(depth))];
  }
  double all_passes() const { return passes_.empty() ? 0 : up_to_passes_.back(); }
  double all_last() const { return last_backward_.empty() ? 0 : up_to_last_.back(); }
  double ahead(int depth) const { return up_to(up_to_passes_, depth); }
  double last_ahead(int depth) const { return up_to(up_to_last_, depth); }

  std::vector<double> passes_, last_backward_;    // by depth
  std::vector<double> up_to_passes_, up_to_last_;  // sums
};

}  // namespace trellis::exact_search
