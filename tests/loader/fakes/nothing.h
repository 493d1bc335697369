// The smallest search algorithm: finds nothing.
#pragma once

#include "trellis/plan/plugin.h"

class Nothing final : public trellis::SearchAlgorithm {
 public:
  std::optional<trellis::Plan> solve(const trellis::Problem&, const trellis::CostOracle&, const trellis::Options&,
                                     trellis::SearchLog&) const override {
    return std::nullopt;
  }
};
