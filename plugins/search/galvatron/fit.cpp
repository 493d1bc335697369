#include "fit.h"

#include <cmath>
#include <set>
#include <utility>

#include "walk.h"

namespace trellis::galvatron {
namespace {

// Solves a symmetric system of order n in place, with pivots.
template <std::size_t N>
std::array<double, N> solve(std::array<std::array<double, N + 1>, N> m) {
  for (std::size_t i = 0; i < N; ++i) {
    std::size_t pivot = i;
    for (std::size_t k = i + 1; k < N; ++k)
      if (std::abs(m[k][i]) > std::abs(m[pivot][i])) pivot = k;
    std::swap(m[i], m[pivot]);
    for (std::size_t k = 0; k < N; ++k) {
      if (k == i) continue;
      const double factor = m[k][i] / m[i][i];
      for (std::size_t j = i; j <= N; ++j) m[k][j] -= factor * m[i][j];
    }
  }
  std::array<double, N> result{};
  for (std::size_t i = 0; i < N; ++i) result[i] = m[i][N] / m[i][i];
  return result;
}

// Coefficients of u^0, u^1, ... for u = (x - center) / scale: powers of lengths in the thousands would lose digits.
template <std::size_t N>
std::array<double, N> fit(const Points& points, double center, double scale) {
  std::array<std::array<double, N + 1>, N> normal{};
  for (std::size_t k = 0; k < points.x.size(); ++k) {
    const double u = (points.x[k] - center) / scale;
    std::array<double, N> power{1};
    for (std::size_t i = 1; i < N; ++i) power[i] = power[i - 1] * u;
    for (std::size_t i = 0; i < N; ++i) {
      for (std::size_t j = 0; j < N; ++j) normal[i][j] += power[i] * power[j];
      normal[i][N] += power[i] * points.y[k];
    }
  }
  return solve<N>(normal);
}

std::pair<double, double> center_and_scale(const Points& points) {
  double center = 0, scale = 0;
  for (const double x : points.x) center += x / static_cast<double>(points.x.size());
  for (const double x : points.x) scale = std::max(scale, std::abs(x - center));
  return {center, scale};
}

template <class Function>
std::vector<double> residuals(const Points& points, const Function& function) {
  std::vector<double> result;
  for (std::size_t i = 0; i < points.x.size(); ++i) result.push_back(function(points.x[i]) - points.y[i]);
  return result;
}

}  // namespace

std::size_t Points::distinct() const { return std::set<double>(x.begin(), x.end()).size(); }

Line fit_line(const Points& points) {
  Walk<2> walk([&](const std::array<double, 2>& p) { return residuals(points, Line{p[0], p[1]}); });
  if (const auto found = walk.run()) return {(*found)[0], (*found)[1]};
  const auto [center, scale] = center_and_scale(points);
  const auto [c0, c1] = fit<2>(points, center, scale);
  return {c1 / scale, c0 - c1 / scale * center};
}

Parabola fit_parabola(const Points& points) {
  Walk<3> walk([&](const std::array<double, 3>& p) { return residuals(points, Parabola{p[0], p[1], p[2]}); });
  if (const auto found = walk.run()) return {(*found)[0], (*found)[1], (*found)[2]};
  const auto [center, scale] = center_and_scale(points);
  const auto [c0, c1, c2] = fit<3>(points, center, scale);
  const double a = c2 / (scale * scale), b = c1 / scale;
  return {a, b - 2 * a * center, c0 - b * center + a * center * center};
}

}  // namespace trellis::galvatron
