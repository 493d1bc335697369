#include "trellis/plan/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trellis/plan/model.h"

namespace trellis {

std::vector<double> rotary_frequencies(double theta, const RotaryScaling& scaling, std::int64_t pairs) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double full = std::pow(theta, -static_cast<double>(i) / static_cast<double>(pairs));
    double slowed = 1;  // the share that is divided by the factor
    if (scaling.original_positions > 0) {
      const double turns = scaling.original_positions * full / (2 * std::numbers::pi);
      slowed = std::clamp((scaling.high_turns - turns) / (scaling.high_turns - scaling.low_turns), 0.0, 1.0);
    }
    frequencies.push_back(full * (1 - slowed + slowed / scaling.factor));
  }
  return frequencies;
}

std::vector<double> rotary_frequencies(const Op& op, std::int64_t pairs) {
  const RotaryScaling none;
  const RotaryScaling scaling{.factor = op.real("factor", none.factor),
                              .original_positions = op.real("original_positions", none.original_positions),
                              .low_turns = op.real("low_turns", none.low_turns),
                              .high_turns = op.real("high_turns", none.high_turns)};
  return rotary_frequencies(op.real("theta", 10000), scaling, pairs);
}

}  // namespace trellis
