// The walk of fit.h: Levenberg and Marquardt's method as long as its damping is zero.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

namespace trellis::galvatron {

template <std::size_t N>
class Walk {
 public:
  using Parameters = std::array<double, N>;
  using Residuals = std::function<std::vector<double>(const Parameters&)>;

  explicit Walk(Residuals residuals) : residuals_(std::move(residuals)) { x_.fill(1); }

  // Nothing where a step would be damped.
  std::optional<Parameters> run() {
    f_ = residuals_(x_);
    norm_ = length(f_, 0);
    for (int iteration = 1; iteration <= kMostSteps; ++iteration) {
      factorize(jacobian());
      if (iteration == 1) {
        for (std::size_t j = 0; j < N; ++j) scale_[j] = columns_[j] == 0 ? 1 : columns_[j];
        trust_ = kFactor * scaled_length(x_);
        if (trust_ == 0) trust_ = kFactor;
      }
      project();
      if (gradient() <= 0) return x_;
      for (std::size_t j = 0; j < N; ++j) scale_[j] = std::max(scale_[j], columns_[j]);
      const std::optional<bool> done = step(iteration == 1);
      if (!done) return std::nullopt;
      if (*done) return x_;
    }
    return std::nullopt;
  }

 private:
  static constexpr double kTolerance = 1.49012e-8, kFactor = 100;
  static constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  static constexpr int kMostSteps = 50;
  using Column = std::vector<double>;

  template <class Values>
  static double length(const Values& values, std::size_t first) {
    double sum = 0;
    for (std::size_t i = first; i < values.size(); ++i) sum += values[i] * values[i];
    return std::sqrt(sum);
  }

  double scaled_length(const Parameters& values) const {
    Parameters scaled;
    for (std::size_t j = 0; j < N; ++j) scaled[j] = scale_[j] * values[j];
    return length(scaled, 0);
  }

  std::array<Column, N> jacobian() {
    std::array<Column, N> columns;
    const double relative = std::sqrt(kEpsilon);
    for (std::size_t j = 0; j < N; ++j) {
      Parameters moved = x_;
      const double h = x_[j] == 0 ? relative : relative * std::abs(x_[j]);
      moved[j] = x_[j] + h;
      columns[j] = residuals_(moved);
      for (std::size_t i = 0; i < f_.size(); ++i) columns[j][i] = (columns[j][i] - f_[i]) / h;
    }
    return columns;
  }

  // Householder's, the longest column first.
  void factorize(std::array<Column, N> columns) {
    r_ = std::move(columns);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    Parameters before;
    for (std::size_t j = 0; j < N; ++j) columns_[j] = diagonal_[j] = before[j] = length(r_[j], 0);
    for (std::size_t j = 0; j < N; ++j) {
      const auto longest =
          static_cast<std::size_t>(std::max_element(diagonal_.begin() + j, diagonal_.end()) - diagonal_.begin());
      if (longest != j) {
        std::swap(r_[j], r_[longest]);
        std::swap(order_[j], order_[longest]);
        diagonal_[longest] = diagonal_[j];
        before[longest] = before[j];
      }
      reflect(j, before);
    }
  }

  void reflect(std::size_t j, Parameters& before) {
    Column& a = r_[j];
    double norm = length(a, j);
    if (norm != 0) {
      if (a[j] < 0) norm = -norm;
      for (std::size_t i = j; i < a.size(); ++i) a[i] /= norm;
      a[j] += 1;
      for (std::size_t k = j + 1; k < N; ++k) {
        apply(j, r_[k]);
        if (diagonal_[k] == 0) continue;
        const double part = r_[k][j] / diagonal_[k];
        diagonal_[k] *= std::sqrt(std::max(0.0, 1 - part * part));
        const double left = diagonal_[k] / before[k];
        if (0.05 * (left * left) > kEpsilon) continue;
        diagonal_[k] = before[k] = length(r_[k], j + 1);
      }
    }
    diagonal_[j] = -norm;
  }

  // The j-th reflection of a vector.
  void apply(std::size_t j, Column& vector) const {
    const Column& a = r_[j];
    double sum = 0;
    for (std::size_t i = j; i < a.size(); ++i) sum += a[i] * vector[i];
    const double factor = sum / a[j];
    for (std::size_t i = j; i < a.size(); ++i) vector[i] -= factor * a[i];
  }

  void project() {
    Column vector = f_;
    for (std::size_t j = 0; j < N; ++j) {
      if (r_[j][j] != 0) apply(j, vector);
      r_[j][j] = diagonal_[j];
      projected_[j] = vector[j];
    }
  }

  double gradient() const {
    double largest = 0;
    if (norm_ == 0) return 0;
    for (std::size_t j = 0; j < N; ++j) {
      if (columns_[order_[j]] == 0) continue;
      double sum = 0;
      for (std::size_t i = 0; i <= j; ++i) sum += r_[j][i] * (projected_[i] / norm_);
      largest = std::max(largest, std::abs(sum / columns_[order_[j]]));
    }
    return largest;
  }

  // True where the walk ends; nothing where it would be damped.
  std::optional<bool> step(bool is_first) {
    Parameters solved = projected_, way{};
    for (std::size_t j = N; j-- > 0;) {
      if (r_[j][j] == 0) return std::nullopt;
      solved[j] /= r_[j][j];
      for (std::size_t i = 0; i < j; ++i) solved[i] -= r_[j][i] * solved[j];
    }
    for (std::size_t j = 0; j < N; ++j) way[order_[j]] = solved[j];
    if (scaled_length(way) - trust_ > 0.1 * trust_) return std::nullopt;
    Parameters next;
    for (std::size_t j = 0; j < N; ++j) {
      way[j] = -way[j];
      next[j] = x_[j] + way[j];
    }
    const double distance = scaled_length(way);
    if (is_first) trust_ = std::min(trust_, distance);
    std::vector<double> f = residuals_(next);
    const double norm = length(f, 0), quotient = norm / norm_;
    const double reduced = 0.1 * norm < norm_ ? 1 - quotient * quotient : -1;
    Parameters predicted{};
    for (std::size_t j = 0; j < N; ++j)
      for (std::size_t i = 0; i <= j; ++i) predicted[i] += r_[j][i] * way[order_[j]];
    const double part = length(predicted, 0) / norm_, expected = part * part;
    const double ratio = expected == 0 ? 0 : reduced / expected;
    if (ratio > 0.25) {
      trust_ = distance / 0.5;
    } else {
      double factor = reduced >= 0 ? 0.5 : 0.5 * -expected / (-expected + 0.5 * reduced);
      if (0.1 * norm >= norm_ || factor < 0.1) factor = 0.1;
      trust_ = factor * std::min(trust_, distance / 0.1);
    }
    if (ratio >= 1e-4) {
      x_ = next;
      f_ = std::move(f);
      norm_ = norm;
    }
    if (std::abs(reduced) <= kTolerance && expected <= kTolerance && 0.5 * ratio <= 1) return true;
    if (trust_ <= kTolerance * scaled_length(x_)) return true;
    if (ratio < 1e-4) return std::nullopt;
    return false;
  }

  Residuals residuals_;
  Parameters x_, scale_{}, columns_{}, diagonal_{}, projected_{};
  std::array<std::size_t, N> order_{};
  std::array<Column, N> r_;
  std::vector<double> f_;
  double norm_ = 0, trust_ = 0;
};

}  // namespace trellis::galvatron
