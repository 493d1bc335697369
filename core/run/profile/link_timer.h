// Times collectives among threads over Gloo and fits latency and bandwidth.
#pragma once

#include <vector>

#include "run/profile/timed_world.h"
#include "trellis/plan/profile.h"

namespace trellis::profile {

// What rounds of a measurement have found.
struct Figure {
  double seconds = 0, spread = 0;  // their mean; by how much they differed, as a share of it
};
Figure figure_of(const std::vector<double>& rounds);
using MoveFigures = std::map<std::tuple<MoveKind, int, Bytes>, Figure>;

// One fit for each kind of collective among `ranks` ranks. `in_place`: seconds of those that stood in layers; of such a
// size nothing else counts. `pace`: of the profile; the times are told for it.
std::vector<LinkFit> time_links(int ranks, const MoveFigures& in_place, double pace);

// Times that do not fall with size: where they do, the sizes concerned share their mean.
TimedSizes rising(const std::map<Bytes, double>& seconds);

// How many times slower computing and communicating are while both go on; from 1 to 2.
double time_slowdown(int ranks);

// Latency and bandwidth of times (seconds) over bytes: least squares of relative errors, neither negative; times that lie
// far off count for less. Error (bad_input) where there are too few, or one is not more than 0.
Link fit(const std::vector<std::pair<Bytes, double>>& times);

}  // namespace trellis::profile
