// libtrellis_cuda's entry: devices and their memory. See run/comm/cuda_room.h.
#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "cuda/kernels/kernels.h"
#include "cuda/nccl_world.h"
#include "run/comm/cuda_room.h"
#include "trellis/plan/error.h"

namespace trellis {
namespace {

void require(cudaError_t status, const char* what) {
  if (status != cudaSuccess) fail(ExitCode::failure, "{}: {}", what, cudaGetErrorString(status));
}

int devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  throw Error(ExitCode::unsupported,
              fmt::format("devices.kind: cuda needs a GPU: the driver reports none ({})",
                          status == cudaSuccess ? "0 devices" : cudaGetErrorString(status)),
              "`nvidia-smi` lists what the driver sees; use devices.kind=cpu without a GPU");
}

void select(int device) {
  devices();
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // what cuBLAS needs to be deterministic; read when it is first used
  at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  // fp32 is fp32: a plan must train like one device, on any device.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  // Also chooses the deterministic backward of flash attention. Buffers are not filled: nothing reads them unwritten.
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

std::string name(int device) {
  cudaDeviceProp properties;
  require(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return properties.name;
}

void synchronize() { require(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }

DeviceMemory memory() {
  using c10::CachingAllocator::StatType;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(c10::cuda::current_device());
  const auto all = static_cast<std::size_t>(StatType::AGGREGATE);
  std::size_t free = 0, total = 0;
  require(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {.current = Bytes(stats.allocated_bytes[all].current),
          .peak = Bytes(stats.allocated_bytes[all].peak),
          .reserved = Bytes(stats.reserved_bytes[all].current),
          .total = Bytes(static_cast<std::int64_t>(total))};
}

void reset_peak() { c10::cuda::CUDACachingAllocator::resetPeakStats(c10::cuda::current_device()); }

constexpr CudaRoom kRoom{.revision = kCudaRoomRevision,
                         .devices = &devices,
                         .select = &select,
                         .name = &name,
                         .synchronize = &synchronize,
                         .memory = &memory,
                         .reset_peak = &reset_peak,
                         .connect = &connect_nccl,
                         .add_kernels = &add_cuda_kernels};

}  // namespace
}  // namespace trellis

extern "C" TRELLIS_API const trellis::CudaRoom* trellis_cuda_room() { return &trellis::kRoom; }
