// What this process received over TCP: the wire as the kernel counts it, without headers.
#pragma once

#include <cstdint>

namespace trellis::bench {

// Summed over the sockets that are open now.
std::int64_t received_bytes();

}  // namespace trellis::bench
