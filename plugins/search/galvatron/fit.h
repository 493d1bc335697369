// Unweighted least squares, as the reference fits its measurements.
#pragma once

#include <array>
#include <vector>

namespace trellis::galvatron {

struct Points {
  std::vector<double> x, y;
  std::size_t distinct() const;  // x that differ
};

struct Line {
  double slope = 0, constant = 0;
  double operator()(double x) const { return slope * x + constant; }
};

// a x^2 + b x + c.
struct Parabola {
  double a = 0, b = 0, c = 0;
  double operator()(double x) const { return a * x * x + b * x + c; }
};

Line fit_line(const Points&);          // at least 2 distinct x
Parabola fit_parabola(const Points&);  // at least 3 distinct x

}  // namespace trellis::galvatron
