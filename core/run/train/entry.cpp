// The door through which the host, which does not link LibTorch, comes to the trainer.
#include <algorithm>
#include <memory>

#include "run/comm/cuda_room.h"
#include "run/comm/environment.h"
#include "run/kernels/machine.h"
#include "run/memory/guards.h"
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

}  // namespace
}  // namespace trellis::train

extern "C" TRELLIS_API void trellis_train(const trellis::TrainRequest& request) {
  static_assert(std::is_same_v<decltype(trellis_train), trellis::TrainEntry>);
  const int threads = trellis::prepare_process({.threads = request.run.devices.threads});
  if (trellis::environment_number("RANK").value_or(0) == 0 && request.run.devices.kind == "cpu") trellis::require_fast_products(threads);
  const std::unique_ptr<trellis::CommWorld> world = trellis::train::connect(request.run.devices);
  trellis::train::Trainer(request, *world).run();
  world->shutdown();
}
