#include "trellis/run/comm.h"

#include <numeric>

namespace trellis {

Work::~Work() = default;
Comm::~Comm() = default;
CommWorld::~CommWorld() = default;

Comm& CommWorld::world() {
  std::vector<int> ranks(static_cast<std::size_t>(size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return group(ranks);
}

}  // namespace trellis
