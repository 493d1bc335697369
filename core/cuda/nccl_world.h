// Groups over c10d's NCCL. Operations run on a stream of their group; a wait makes the current stream wait.
//
// NCCL adds in an order of its own, fixed for a group and size. A rank that is lost or late is found by c10d's
// watchdog, which ends this process; the launcher then ends the others.
#pragma once

#include "run/comm/stores.h"
#include "trellis/run/comm.h"

namespace trellis {

// Uses the current device.
std::unique_ptr<CommWorld> connect_nccl(StorePtr store, int rank, int size, const CommOptions& options);

}  // namespace trellis
