// Groups over c10d's Gloo.
//
// All operations are made of Gloo's point-to-point transfers: no copies through flattened buffers, sums in rank order.
// Gloo's own collectives add in an order of their own and cannot be ended before their time limit; with 4 MiB on 8
// thread ranks its all-gather and reduce-scatter took two to three times as long. And c10d's record of them
// (FlightRecorder) is not safe for several ranks in one process.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include "run/comm/grouped_world.h"

namespace c10d {
class Store;
}

namespace trellis {

// A network device and what all groups of one rank share. `store` is shared by all ranks.
std::unique_ptr<GroupedWorld> gloo_world(c10::intrusive_ptr<c10d::Store> store, int rank, int size,
                                         const CommOptions& options);

// Ends all waits of a world of gloo_world() with an Error that gives the reason. Called by any thread.
void give_up_gloo_world(GroupedWorld& world, const std::string& reason);

}  // namespace trellis
