// The door through which the host, which does not link LibTorch, comes to the verifier.
#include <memory>
#include <type_traits>

#include "run/comm/cuda_room.h"
#include "run/memory/guards.h"
#include "run/verify/session.h"
#include "trellis/run/comm.h"

extern "C" TRELLIS_API int trellis_verify(const trellis::VerifyRequest& request) {
  static_assert(std::is_same_v<decltype(trellis_verify), trellis::VerifyEntry>);
  trellis::prepare_process({.threads = 1});  // ranks share the cores
  trellis::CommOptions options;
  if (request.run.devices.kind == "cuda") {
    trellis::select_cuda_device();
    options.transport = trellis::Transport::nccl;
  }
  if (!request.as_rank) return trellis::VerifySession(request, nullptr).run().failures;
  const std::unique_ptr<trellis::CommWorld> world = trellis::connect_from_environment(options);
  const int failures = trellis::VerifySession(request, world.get()).run().failures;
  world->shutdown();
  return failures;
}
