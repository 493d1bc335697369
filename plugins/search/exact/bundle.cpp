#include "bundle.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace trellis::exact_search {
namespace {

constexpr std::size_t kPlanes = 24;
constexpr int kExchanges = 200;  // of weight between two planes
constexpr int kLengthened = 16;

double product(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

double Bundle::height(const Plane& plane, const std::vector<double>& at) const {
  return plane.at_zero + product(plane.slope, at);
}

// From the center along the mean of the slopes.
std::vector<double> Bundle::mixed() const {
  std::vector<double> at = center_;
  for (const Plane& plane : planes_)
    if (plane.weight > 0)
      for (std::size_t k = 0; k < at.size(); ++k) at[k] += stride_ * plane.weight * plane.slope[k];
  for (double& price : at) price = std::max(0.0, price);
  return at;
}

// The weights of planes for which mixed() is where the lowest plane, less the square of the way there, is highest.
double Bundle::settle(double stride) {
  stride_ = stride;
  for (int i = 0;; ++i) {
    const std::vector<double> at = mixed();
    Plane *low = nullptr, *high = nullptr;
    double least = 0, most = 0;
    for (Plane& plane : planes_) {
      const double mine = height(plane, at);
      if (!low || mine < least) low = &plane, least = mine;
      if (plane.weight > 0 && (!high || mine > most)) high = &plane, most = mine;
    }
    asked_ = at;
    double square = 0;
    for (std::size_t k = 0; k < at.size(); ++k) square += std::pow(high->slope[k] - low->slope[k], 2);
    if (i == kExchanges || square == 0 || most - least <= 1e-9 * std::abs(highest_)) return least;
    const double moved = std::min(high->weight, (most - least) / (stride * square));
    high->weight -= moved, low->weight += moved;
  }
}

bool Bundle::learn(double value, std::vector<double> slope, double least) {
  const bool first = planes_.empty();
  if (first) {
    const double steep = std::sqrt(product(slope, slope));
    if (steep == 0) return false;
    stride_ = reach_ / steep;
  }
  if (planes_.size() == kPlanes) {  // of those that play no part the oldest
    const auto idle = std::ranges::min_element(planes_, {}, &Plane::weight);
    const double weight = idle->weight;
    planes_.erase(idle);
    for (Plane& plane : planes_) plane.weight /= std::max(1e-12, 1 - weight);
  }
  planes_.push_back({.at_zero = value - product(slope, asked_), .slope = std::move(slope), .weight = first ? 1.0 : 0.0});
  if (first || value > highest_ + 0.1 * (expected_ - highest_)) {
    if (!first) stride_ *= 2;
    center_ = asked_, highest_ = value;
  } else {
    stride_ *= 0.8;
  }
  expected_ = settle(stride_);
  // A short stride may be all that is in the way.
  for (int i = 0; i < kLengthened && expected_ - highest_ <= least; ++i) expected_ = settle(stride_ *= 2);
  return expected_ - highest_ > least;
}

}  // namespace trellis::exact_search
