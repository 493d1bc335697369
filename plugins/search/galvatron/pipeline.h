// The reference's time of a step: what its answer is chosen by.
#pragma once

#include <vector>

namespace trellis::galvatron {

// `computed`: seconds of a micro-batch on each stage, vocabulary included, without gradient reduction. `reduced`: of
// its layers alone, with it. Defects: GPipe and 1F1B take the same time; only the first and the last stage can be the
// bottleneck; redistribution between layers is free, though the dynamic programming charges it.
double pipeline_time(const std::vector<double>& computed, const std::vector<double>& reduced, double micro_batches);

}  // namespace trellis::galvatron
