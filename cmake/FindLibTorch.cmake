# Finds LibTorch as a wheel or a C++ archive has it: a folder `torch` with include/ and lib/.
#
#   LibTorch::cpu    c10 and torch_cpu. libtorch.so is left out on purpose: it is an empty shell that pulls in CUDA.
#   LibTorch::cuda   also c10_cuda and torch_cuda; only where the folder has them.
#   LibTorch_VERSION, LibTorch_ROOT
#
# Looked for in: the variable or environment variable TRELLIS_TORCH, then the cache that bootstrap.sh fills.
set(_torch_wanted 2.11.0)
if(DEFINED ENV{TRELLIS_TORCH})
  set(_torch_hint $ENV{TRELLIS_TORCH})
endif()
set(TRELLIS_TORCH "${_torch_hint}" CACHE PATH "LibTorch's folder, which has include/ and lib/")
if(TRELLIS_TORCH)
  set(LibTorch_ROOT ${TRELLIS_TORCH})
else()
  include(${CMAKE_CURRENT_LIST_DIR}/TrellisCache.cmake)
  set(LibTorch_ROOT ${TRELLIS_CACHE_DIR}/libtorch-${_torch_wanted}/torch)
endif()

set(LibTorch_CPU_LIBRARY ${LibTorch_ROOT}/lib/libtorch_cpu.so)
set(_version_header ${LibTorch_ROOT}/include/torch/headeronly/version.h)
foreach(_file LibTorch_CPU_LIBRARY _version_header)
  if(NOT EXISTS ${${_file}})
    string(APPEND _torch_reason "\n  ${${_file}} is missing.")
    unset(${_file})
  endif()
endforeach()
if(_version_header)
  file(STRINGS ${_version_header} _lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
  string(REGEX MATCHALL "[0-9]+" _numbers "${_lines}")
  list(JOIN _numbers . LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY _version_header
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "${_torch_reason}
  ./bootstrap.sh build downloads it, or name an existing LibTorch with -DTRELLIS_TORCH=FOLDER/torch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  # -idirafter: LibTorch bundles headers of other libraries (a newer fmt among them) that must not hide the system's.
  function(_libtorch_target name library)
    add_library(LibTorch::${name} SHARED IMPORTED)
    set_target_properties(LibTorch::${name} PROPERTIES IMPORTED_LOCATION ${LibTorch_ROOT}/lib/${library})
  endfunction()
  _libtorch_target(c10 libc10.so)
  _libtorch_target(cpu libtorch_cpu.so)
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::c10)
  foreach(_folder include include/torch/csrc/api/include)
    target_compile_options(LibTorch::c10 INTERFACE
      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${LibTorch_ROOT}/${_folder}>"
      "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xcompiler -idirafter -Xcompiler ${LibTorch_ROOT}/${_folder}>")
  endforeach()
  if(EXISTS ${LibTorch_ROOT}/lib/libtorch_cuda.so)
    _libtorch_target(c10_cuda libc10_cuda.so)
    _libtorch_target(cuda libtorch_cuda.so)
    target_link_libraries(LibTorch::cuda INTERFACE LibTorch::c10_cuda LibTorch::cpu)
  endif()
endif()
