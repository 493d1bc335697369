// One rank: sums over all ranks and over pairs.
//   trellis_test_comm_rank sum    over Gloo
//   trellis_test_comm_rank die    rank 1 leaves without a word, and the others must notice
//   trellis_test_comm_rank nccl   over NCCL; several ranks may share a device. Exit code 8 where there is none.
#include <ATen/ops/full.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "run/comm/cuda_room.h"
#include "run/comm/environment.h"
#include "trellis/plan/error.h"
#include "trellis/run/comm.h"

using namespace trellis;

int main(int argc, char** argv) try {
  const std::string mode = argc > 1 ? argv[1] : "sum";
  at::Device device = at::kCPU;
  if (mode == "nccl") {
    const int number = environment_number("LOCAL_RANK").value_or(0) % cuda_room().devices();
    cuda_room().select(number);
    device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(number));
  }
  const auto world = connect_from_environment(
      {.transport = mode == "nccl" ? Transport::nccl : Transport::gloo, .timeout_seconds = 60, .interface = "lo"});
  const int n = world->size(), r = world->rank();
  if (mode == "die" && r == 1) _exit(9);
  const std::vector<int> pair{r / 2 * 2, r / 2 * 2 + 1};
  world->create_groups({{0, 1}, {2, 3}});
  for (const int elements : {10, 100'000}) {
    at::Tensor value = at::full({elements}, r + 1.0f, at::TensorOptions(device));
    world->world().all_reduce(value)->wait();
    world->group(pair).all_reduce(value)->wait();
    if (value[elements - 1].item<float>() != static_cast<float>(n * (n + 1))) return 1;

    // Both send before they receive.
    at::Tensor received = at::full({elements}, 0.0f, at::TensorOptions(device));
    const int peer = 1 - r % 2;
    WorkPtr sending = world->group(pair).send(value, peer, 0),
            receiving = world->group(pair).receive(received, peer, 0);
    sending->wait();
    receiving->wait();
    if (received[elements - 1].item<float>() != static_cast<float>(n * (n + 1))) return 1;
  }
  world->shutdown();
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
