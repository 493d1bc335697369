// One rank: sums over all ranks and over pairs. `die`: rank 1 leaves without a word, and the others must notice.
#include <ATen/ops/full.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "trellis/plan/error.h"
#include "trellis/run/comm.h"

using namespace trellis;

int main(int argc, char** argv) try {
  const std::string mode = argc > 1 ? argv[1] : "sum";
  const auto world = connect_from_environment({.transport = Transport::gloo, .timeout_seconds = 60, .interface = "lo"});
  const int n = world->size(), r = world->rank();
  if (mode == "die" && r == 1) _exit(9);
  const std::vector<int> pair{r / 2 * 2, r / 2 * 2 + 1};
  world->create_groups({{0, 1}, {2, 3}});
  for (const int elements : {10, 100'000}) {
    at::Tensor value = at::full({elements}, r + 1.0f);
    world->world().all_reduce(value)->wait();
    world->group(pair).all_reduce(value)->wait();
    if (value[elements - 1].item<float>() != static_cast<float>(n * (n + 1))) return 1;
  }
  world->shutdown();
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
