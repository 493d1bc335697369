#include "lower_curve.h"

#include <algorithm>
#include <cmath>

#include "reals.h"

namespace trellis::exact_search {

// What rounding of both terms may add is taken off.
double BoundLine::at(Bytes budget) const {
  const double paid = per_byte * real(budget);
  return at_zero - paid - kRounding * (std::abs(at_zero) + paid);
}

void LowerCurve::add(const BoundLine& line) {
  // The upper envelope: a line that its neighbors are above wherever it is above one of them goes.
  auto place = std::ranges::lower_bound(lines_, line.per_byte, {}, &BoundLine::per_byte);
  if (place != lines_.end() && place->per_byte == line.per_byte) {
    if (place->at_zero >= line.at_zero) return;
    place = lines_.erase(place);
  }
  const auto needless = [](const BoundLine& a, const BoundLine& b, const BoundLine& c) {
    // Where a and c meet b is no higher.
    return (c.at_zero - a.at_zero) * (b.per_byte - a.per_byte) >= (b.at_zero - a.at_zero) * (c.per_byte - a.per_byte);
  };
  auto at = static_cast<std::size_t>(place - lines_.begin());
  if (at > 0 && at < lines_.size() && needless(lines_[at - 1], line, lines_[at])) return;
  lines_.insert(place, line);
  const auto erase = [&](std::size_t i) { lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(i)); };
  while (at >= 2 && needless(lines_[at - 2], lines_[at - 1], lines_[at])) erase(--at);
  while (at + 2 < lines_.size() && needless(lines_[at], lines_[at + 1], lines_[at + 2])) erase(at + 1);
}

void LowerCurve::add(Bytes up_to, double step) {
  const auto at_least = std::ranges::lower_bound(levels_, up_to, {}, &Level::up_to);
  if (at_least != levels_.end() && at_least->step >= step) return;
  const auto end = at_least != levels_.end() && at_least->up_to == up_to ? std::next(at_least) : at_least;
  auto first = at_least;
  while (first != levels_.begin() && std::prev(first)->step <= step) --first;
  levels_.insert(levels_.erase(first, end), {up_to, step});
}

double LowerCurve::at(Bytes budget) const {
  double most = 0;
  for (const BoundLine& line : lines_) most = std::max(most, line.at(budget));
  const auto level = std::ranges::lower_bound(levels_, budget, {}, &Level::up_to);
  return level == levels_.end() ? most : std::max(most, level->step);
}

}  // namespace trellis::exact_search
