// Threads of a rank on a CPU, for contracts of kernels that have scratch for each.
#pragma once

#include "trellis/plan/op.h"

namespace trellis {

// One until said otherwise. To be said before anything is derived with the library.
TRELLIS_API void set_threads(OpLibrary&, int threads);

}  // namespace trellis
