#include "run/comm/cuda_room.h"

#include <dlfcn.h>

#include <filesystem>

#include "run/comm/environment.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

std::filesystem::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&cuda_room), &info) == 0) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

const CudaRoom& load_cuda_room() {
  const auto path = own_folder() / "libtrellis_cuda.so";
  if (!std::filesystem::exists(path))
    throw Error(ExitCode::unsupported, fmt::format("devices.kind: cuda is not in this build: there is no {}", path.string()),
                "build with -DTRELLIS_CUDA=ON (preset cuda), or use devices.kind=cpu");
  // Never closed: tensors, streams and threads of the CUDA stack outlive any point at which that would be safe.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) fail(ExitCode::unsupported, "devices.kind: cuda cannot be used: {}", dlerror());
  const auto entry = reinterpret_cast<const CudaRoom* (*)()>(dlsym(library, kCudaRoomEntry));
  if (!entry) fail(ExitCode::unsupported, "{} is not the CUDA room: it lacks {}", path.string(), kCudaRoomEntry);
  const CudaRoom* room = entry();
  if (room->revision != kCudaRoomRevision)
    fail(ExitCode::unsupported, "{} is of revision {}; this build needs {}", path.string(), room->revision,
         kCudaRoomRevision);
  return *room;
}

}  // namespace

const CudaRoom& cuda_room() {
  static const CudaRoom& room = load_cuda_room();
  return room;
}

int select_cuda_device() {
  const int device = environment_number("LOCAL_RANK").value_or(0);
  const int devices = cuda_room().devices();
  if (device >= devices)
    throw Error(ExitCode::unsupported,
                fmt::format("rank with LOCAL_RANK {} needs a GPU of its own: this machine has {}", device, devices),
                fmt::format("start at most {} ranks on this machine", devices));
  cuda_room().select(device);
  return device;
}

}  // namespace trellis
