// The highest value of a concave function of prices that are not negative, of which a value and a slope can be had
// wherever one asks: a proximal bundle method. All that was learned bounds the function from above by planes; the next
// prices are where these are highest, not too far from the best ones so far.
#pragma once

#include <vector>

namespace trellis::exact_search {

class Bundle {
 public:
  // `reach`: how far the first step may go.
  Bundle(std::vector<double> start, double reach) : asked_(std::move(start)), reach_(reach) {}

  // Where the function is to be asked for next.
  const std::vector<double>& next() const { return asked_; }
  // What it is there. False where it is nowhere higher by more than `least`, as far as is known.
  bool learn(double value, std::vector<double> slope, double least);

 private:
  struct Plane {
    double at_zero = 0;
    std::vector<double> slope;
    double weight = 0;
  };
  double height(const Plane&, const std::vector<double>&) const;
  std::vector<double> mixed() const;
  double settle(double stride);

  std::vector<double> asked_, center_;
  double reach_, stride_ = 0;
  double highest_ = 0, expected_ = 0;
  std::vector<Plane> planes_;
};

}  // namespace trellis::exact_search
