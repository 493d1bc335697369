// How fast rotary positions turn (Su et al. 2021, arXiv 2104.09864).
#pragma once

#include <cstdint>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis {

struct Op;

// For sequences longer than those that a model has learned from, rotary positions turn more slowly: frequencies are
// divided by `factor`. All of them (linear: Chen et al. 2023, arXiv 2306.15595), or, where `original_positions` is more
// than 0, only those of pairs that turn less than `low_turns` times in so many positions; of pairs that turn more than
// `high_turns` times none, and between the two a mix (llama3: Grattafiori et al. 2024, arXiv 2407.21783).
struct RotaryScaling {
  double factor = 1;
  double original_positions = 0, low_turns = 1, high_turns = 4;
  bool operator==(const RotaryScaling&) const = default;
};

// Of each pair of a head's features, in radians a position: theta^(-2 i / d) for pair i of d / 2, or less.
std::vector<double> TRELLIS_API rotary_frequencies(double theta, const RotaryScaling&, std::int64_t pairs);
// By an op's attributes, as LayerBuilder::rotary() writes them.
std::vector<double> TRELLIS_API rotary_frequencies(const Op&, std::int64_t pairs);

}  // namespace trellis
