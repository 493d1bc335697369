// The kernels that plugins bring.
#pragma once

#include "trellis/plan/catalog.h"
#include "trellis/run/kernel.h"

namespace trellis {

// Loads the run library of every plugin that the catalog has loaded so far and that has one. Throws Error (plugin), at
// the library, for one that is refused or fails.
TRELLIS_API void load_kernels(const Catalog&, KernelLibrary&);

}  // namespace trellis
