// Which samples are trained on and which are held out, where files have them in no order of chance.
#pragma once

#include <cstdint>
#include <vector>

#include "trellis/plan/export.h"

namespace trellis::data {

// Drawn by (seed, part of the data). Those held out are in the order drawn, so that the first batches are like all of
// them, whatever the order of the files.
struct TRELLIS_API Split {
  std::vector<std::int64_t> training, held_out;
  static Split draw(std::int64_t size, double held_out_share, std::uint64_t seed, std::uint64_t part = 0);  // share: 0 to 1
};

}  // namespace trellis::data
