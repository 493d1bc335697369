// Times collectives among threads over Gloo and fits latency and bandwidth.
#pragma once

#include <vector>

#include "trellis/plan/profile.h"

namespace trellis::profile {

// One fit for each kind of collective among `ranks` ranks.
std::vector<LinkFit> time_links(int ranks);

// Latency and bandwidth of times (seconds) over bytes: least squares of relative errors, neither negative.
Link fit(const std::vector<std::pair<Bytes, double>>& times);

}  // namespace trellis::profile
