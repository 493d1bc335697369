// Groups over c10d's Gloo.
//
// Everything but large sums and broadcasts is made of Gloo's point-to-point transfers: no copies through flattened
// buffers, no worker thread, and all sums but those of large all-reduces are added in rank order.
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

// Closes the connections of a world of gloo_world(), so that its peers' operations end at once. For a rank that failed.
void abort_gloo_world(GroupedWorld& world);

}  // namespace trellis
