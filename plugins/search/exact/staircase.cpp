#include "staircase.h"

#include <algorithm>

namespace trellis::exact_search {

const Staircase::Step* Staircase::best(Bytes budget) const {
  const auto above = std::ranges::upper_bound(steps_, budget, {}, &Step::needs);
  return above == steps_.begin() ? nullptr : &*std::prev(above);
}

bool Staircase::is_better(Bytes needs, const Score& score) const {
  const Step* known = best(needs);
  return !known || score < known->score;
}

void Staircase::add(Step step) {
  const auto first = std::ranges::lower_bound(steps_, step.needs, {}, &Step::needs);
  const auto last = std::find_if(first, steps_.end(), [&](const Step& s) { return s.score < step.score; });
  const auto place = steps_.erase(first, last);
  steps_.insert(place, std::move(step));
}

}  // namespace trellis::exact_search
