// One stage of equal layers without transitions: which strategies its layers have matters, their order does not. A mix
// is a count for each strategy.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace trellis::galvatron {

// A strategy of one layer: MB, seconds without and with gradient reduction.
struct Item {
  double memory = 0, computed = 0, reduced = 0;
};

struct Mix {
  double computed = 0, reduced = 0, memory = 0;
  std::vector<int> counts;  // by item
};

// A linear measure of a mix, on_computed * computed + on_reduced * reduced, both at least 0.
struct Direction {
  double on_computed = 0, on_reduced = 0;
  double of(double computed, double reduced) const { return on_computed * computed + on_reduced * reduced; }
  auto operator<=>(const Direction&) const = default;
};

// The least of a direction per layer by the memory per layer, where layers may be divided: the lower convex hull of the
// items. What any mix takes is at least layers * least(budget / layers).
class Hull {
 public:
  Hull(const std::vector<Item>& items, std::size_t first_item, Direction direction);
  double least(double memory) const;  // infinite where nothing fits
  double price(double memory) const;  // what one MB more is worth there, >= 0
 private:
  std::vector<std::pair<double, double>> points_;  // memory ascending, measure descending
};

// A stage to be filled.
struct Stage {
  std::vector<Item> items;
  int layers = 1;
  double budget = 0;  // MB
};

// A good mix under a direction: two items, then exchanges of one or two layers. Nothing where no mix fits.
std::vector<int> good_counts(const Stage&, Direction);
Mix mix_of(const Stage&, std::vector<int> counts);

// Mixes at or above a limit are of no use.
struct Limit {
  Direction direction;
  double value = 0;
};

// Work that is left; an enumeration that runs out stops, and says so by leaving it below 0.
struct Effort {
  std::int64_t labels = 0;
  std::int64_t spent = 0;
};

// Calls found() for mixes that fit, so that for each mix under all limits one is among them that takes no more of
// either time. With `exact_computed` that one computes exactly as long: for measures in which more of `computed` is
// less. found() may lower limits (same order as given). False where the effort did not suffice.
bool enumerate(const Stage&, std::vector<Limit>& limits, Direction main, bool exact_computed, Effort&,
               const std::function<void(const Mix&)>& found);

}  // namespace trellis::galvatron
