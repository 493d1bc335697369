// Unweighted least squares, as the reference fits its measurements.
//
// Its fitting routine walks to the minimum from 1, 1, 1 by Gauss-Newton steps over a Jacobian of finite differences and
// stops within a tolerance, which leaves the ninth digit to the walk; and its dynamic programming decides ties by the
// last bit of costs. So the walk is repeated here, step by step and in the same order of operations, and the minimum
// itself is taken only where that walk would leave its region of trust.
#pragma once

#include <array>
#include <cstddef>
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
