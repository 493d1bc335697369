// The door to libtrellis_cuda, which is loaded only when a run asks for CUDA: nothing here links to it.
#pragma once

#include <memory>
#include <string>

#include "run/comm/stores.h"
#include "trellis/run/comm.h"
#include "trellis/run/kernel.h"

namespace trellis {

struct DeviceMemory {
  Bytes current{0};   // allocated by tensors
  Bytes peak{0};      // since the last reset
  Bytes reserved{0};  // held by the caching allocator
  Bytes total{0};     // of the device
};

// What libtrellis_cuda offers. All of it is for the calling thread's current device.
struct CudaRoom {
  int revision;                // kCudaRoomRevision of the header that it was compiled with
  int (*devices)();            // how many GPUs; throws Error (unsupported) with the driver's reason if there is none
  void (*select)(int device);  // makes it current, and deterministic matrix products the rule
  std::string (*name)(int device);
  void (*synchronize)();
  DeviceMemory (*memory)();
  void (*reset_peak)();
  std::unique_ptr<CommWorld> (*connect)(StorePtr store, int rank, int size, const CommOptions& options);
  void (*add_kernels)(KernelLibrary& library);  // in the place of those for the CPU
};
constexpr int kCudaRoomRevision = 2;
constexpr const char* kCudaRoomEntry = "trellis_cuda_room";  // extern "C" const CudaRoom* trellis_cuda_room()

// Loads the library beside libtrellis_run on the first call; it stays loaded. Throws Error (unsupported) where it is
// missing, cannot be loaded, or is of another build. Thread-safe.
TRELLIS_API const CudaRoom& cuda_room();

// The device of this process: LOCAL_RANK, 0 where it is not set. Selects it. Throws Error (unsupported) when there are
// fewer devices.
TRELLIS_API int select_cuda_device();

}  // namespace trellis
