// The door through which the host, which does not link LibTorch, comes to the trainer.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <thread>

#include "run/comm/cuda_room.h"
#include "run/comm/environment.h"
#include "run/train/trainer.h"
#include "trellis/run/train.h"

namespace trellis::train {
namespace {

std::unique_ptr<CommWorld> connect(const DevicesSection& devices) {
  if (devices.kind == "cuda") select_cuda_device();
  CommOptions options;
  options.transport = devices.kind == "cuda" ? Transport::nccl : Transport::gloo;
  options.timeout_seconds = static_cast<int>(std::max(1.0, to_seconds(devices.timeout)));
  options.interface = devices.interface;
  return connect_from_environment(options);
}

// Ranks of one machine share its cores. A user's OMP_NUM_THREADS stands.
void set_threads(const DevicesSection& devices) {
  if (devices.threads > 0) return at::set_num_threads(devices.threads);
  if (std::getenv("OMP_NUM_THREADS")) return;
  const int local = environment_number("LOCAL_WORLD_SIZE").value_or(environment_number("WORLD_SIZE").value_or(1));
  at::set_num_threads(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / std::max(1, local)));
}

}  // namespace
}  // namespace trellis::train

extern "C" TRELLIS_API void trellis_train(const trellis::TrainRequest& request) {
  static_assert(std::is_same_v<decltype(trellis_train), trellis::TrainEntry>);
  trellis::train::set_threads(request.run.devices);
  const std::unique_ptr<trellis::CommWorld> world = trellis::train::connect(request.run.devices);
  trellis::train::Trainer(request, *world).run();
  world->shutdown();
}
