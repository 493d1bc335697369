#include "stand_ins.h"

#include <algorithm>
#include <numeric>

#include "front.h"

namespace trellis::exact_search {

void StandIns::find(const std::vector<Label>& labels, std::vector<std::size_t> group, int layer,
                    std::vector<std::size_t>& by) const {
  std::vector<Dominance::Numbers> numbers;
  for (const std::size_t l : group) numbers.push_back(dominance_.numbers(labels[l]));
  if (order_) sort_by_time(group, numbers);
  Front front(numbers);
  std::vector<std::size_t> left;
  int asked = 0;
  for (std::size_t k = 0; k < group.size(); ++k) {
    const std::size_t l = group[k];
    if (!left.empty() && out_of_time_(asked)) {
      by[l] = kNobody;
      continue;
    }
    const Label& label = labels[l];
    const bool dominated = front.any_no_worse(numbers[k], [&](std::size_t member) {
      const Label& other = labels[group[left[member]]];
      by[l] = group[left[member]];
      return task_.no_worse_to_come(layer, other.option, label.option) &&
             dominance_.no_worse_behind(other, label, done_) &&
             (!order_ || dominance_.surely_longer(numbers[k], numbers[left[member]]) ||
              order_->stands_for(other, label, layer));
    });
    if (!dominated) by[l] = l, front.push(numbers[k]), left.push_back(k);
  }
}

// Stable: of labels that take as long those of plans that come first stay in front.
void StandIns::sort_by_time(std::vector<std::size_t>& group, std::vector<Dominance::Numbers>& numbers) {
  std::vector<std::size_t> places(group.size());
  std::iota(places.begin(), places.end(), 0);
  std::ranges::stable_sort(places, {}, [&](std::size_t k) { return Dominance::time(numbers[k]); });
  std::vector<std::size_t> sorted;
  std::vector<Dominance::Numbers> sorted_numbers;
  for (const std::size_t k : places) sorted.push_back(group[k]), sorted_numbers.push_back(numbers[k]);
  group = std::move(sorted), numbers = std::move(sorted_numbers);
}

void StandIns::thin_out(const std::vector<Label>& labels, const std::vector<std::size_t>& group,
                        const std::function<double(const Label&)>& memory_of, std::vector<std::size_t>& by) const {
  std::vector<double> memory;
  for (const std::size_t l : group) memory.push_back(memory_of(labels[l]));
  const auto [least, most] = std::ranges::minmax(memory);
  std::vector<bool> taken(kShares);
  for (std::size_t k = 0; k < group.size(); ++k) {
    const auto share = static_cast<std::size_t>((memory[k] - least) / std::max(1.0, most - least) * (kShares - 1));
    if (taken[share]) by[group[k]] = kNobody;
    taken[share] = true;
  }
}

}  // namespace trellis::exact_search
