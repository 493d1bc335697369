// result.json: what a run ends with.
#pragma once

#include <string>
#include <vector>

#include "run/train/trainer.h"

namespace trellis::train {

// Memory by rank, in bytes. Throughput is that of the median step, without the first, which warms up.
std::string result_json(const Setup& setup, const History& history, const std::vector<std::int64_t>& measured,
                        const std::vector<std::int64_t>& predicted);

}  // namespace trellis::train
