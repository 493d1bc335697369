// Settings of the processor that a run wants.
#pragma once

#include "trellis/plan/export.h"

namespace trellis {

// Denormal numbers count as zero on all threads of this process's kernels, or as themselves. They are a hundred times
// slower than others, and appear where probabilities vanish. False where the processor cannot.
TRELLIS_API bool set_flush_denormals(bool on);

}  // namespace trellis
