// The way from the host to libtrellis_run, which is loaded only by verbs that run something: planning needs no
// LibTorch.
#pragma once

#include <string>

namespace trellis::host {

// The address of an entry of libtrellis_run, which lies beside libtrellis_plan. Throws Error (unsupported) where this
// build has no run side, or its libraries cannot be loaded.
void* run_side_entry(const std::string& name);

}  // namespace trellis::host
