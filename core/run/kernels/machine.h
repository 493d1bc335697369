// Settings of the processor that a run wants.
#pragma once

#include "trellis/plan/export.h"

namespace trellis {

// Denormal numbers count as zero on all threads of this process's kernels, or as themselves. They are a hundred times
// slower than others, and appear where probabilities vanish. False where the processor cannot.
TRELLIS_API bool set_flush_denormals(bool on);

// Throws Error (unsupported) where a 512-cubed product in f32 stays below kLeastGflops a thread, with what to do: a run
// there would take many times as long as it must. TRELLIS_ALLOW_SLOW=1 in the environment lets it pass.
inline constexpr double kLeastGflops = 20;
TRELLIS_API void require_fast_products(int threads, double (*measure)() = nullptr);

}  // namespace trellis
