# What core/cuda needs: the CUDA language, the toolkit, NCCL's header, LibTorch's CUDA half.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPU architectures to compile for")
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(TRELLIS_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin REQUIRED)
  set(CMAKE_CUDA_COMPILER ${TRELLIS_NVCC})
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know yet that nvcc speaks C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()
find_package(CUDAToolkit 13.0 REQUIRED)
if(NOT TARGET LibTorch::cuda)
  message(FATAL_ERROR "${LibTorch_ROOT}/lib has no libtorch_cuda.so: TRELLIS_CUDA=ON needs a CUDA build of LibTorch")
endif()

# ProcessGroupNCCL::Options holds NCCL's configuration by value, so its size must be that of LibTorch's own NCCL.
set(nccl_wanted 2.28)
find_path(TRELLIS_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
file(STRINGS ${TRELLIS_NCCL_INCLUDE}/nccl.h nccl_lines REGEX "^#define NCCL_(MAJOR|MINOR) [0-9]+$")
string(REGEX MATCHALL "[0-9]+" nccl_numbers "${nccl_lines}")
list(JOIN nccl_numbers . nccl_version)
if(NOT nccl_version VERSION_EQUAL nccl_wanted)
  message(FATAL_ERROR "${TRELLIS_NCCL_INCLUDE}/nccl.h is of NCCL ${nccl_version}; LibTorch ${LibTorch_VERSION} needs "
                      "${nccl_wanted}. Name the folder of another one with -DTRELLIS_NCCL_INCLUDE=FOLDER")
endif()
