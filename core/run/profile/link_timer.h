// Times collectives among threads over Gloo and fits latency and bandwidth.
#pragma once

#include <vector>

#include "trellis/plan/profile.h"

namespace trellis::profile {

// One fit for each kind of collective among `ranks` ranks.
std::vector<LinkFit> time_links(int ranks);

// How many times slower computing and communicating are while both go on; from 1 to 2.
double time_slowdown(int ranks);

// Latency and bandwidth of times (seconds) over bytes: least squares of relative errors, neither negative; times that lie
// far off count for less. Error (bad_input) where there are too few, or one is not more than 0.
Link fit(const std::vector<std::pair<Bytes, double>>& times);

}  // namespace trellis::profile
