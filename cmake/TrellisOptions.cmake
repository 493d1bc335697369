# Compile and link options of our own targets. None of them travels to users of the SDK except the language level.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

# Build-tree libraries are found relative to the binary, LibTorch where it was found. DT_RPATH rather than DT_RUNPATH,
# because only the former is used for the libraries that LibTorch itself needs.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
add_link_options(LINKER:--disable-new-dtags LINKER:--allow-shlib-undefined)

# The target all_verify_interface_header_sets compiles every public header by itself, as a plugin's first include.
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)

# trellis_build: what every target of this repository is compiled with.
add_library(trellis_build INTERFACE)
set(warnings_are_errors $<$<NOT:$<BOOL:${TRELLIS_FUZZ}>>:-Werror>)
# Clang, which only fuzzing needs, may warn. Without two warnings: designated initializers leave fields to their defaults on purpose, and g++ 12 sees overlapping
# copies in std::string's own operator+ (GCC bug 105651).
target_compile_options(trellis_build INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra ${warnings_are_errors} -Wno-missing-field-initializers>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
if(TRELLIS_SANITIZE)
  string(REPLACE ";" "," sanitizers "${TRELLIS_SANITIZE}")
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  # GCC misjudges std::regex under sanitizers.
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
  add_link_options(-fsanitize=${sanitizers})
endif()
if(TRELLIS_FUZZ)  # coverage for libFuzzer
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# trellis_add_core(TARGET ROOM SOURCES...): a shared core library with the public headers of core/include/trellis/ROOM.
# Everything in it is exported, so that type information of interface classes is one object for the host, the tests and
# all plugins. Without sources it is an INTERFACE library.
function(trellis_add_core target room)
  if(ARGN)
    add_library(${target} SHARED ${ARGN})
    target_link_libraries(${target} PRIVATE trellis_build)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/core)
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_compile_features(${target} ${scope} cxx_std_20)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/include/trellis/${room}/*.h)
  if(room STREQUAL plan)
    list(APPEND headers ${PROJECT_BINARY_DIR}/include/trellis/plan/fingerprint.h)
  endif()
  target_sources(${target} ${scope} FILE_SET HEADERS
    BASE_DIRS ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_BINARY_DIR}/include FILES ${headers})
endfunction()

# trellis_add_host(SOURCES...): the command line. It links the plan side only and loads libtrellis_run for verbs that run.
function(trellis_add_host)
  if(NOT ARGN)
    return()
  endif()
  add_executable(trellis ${ARGN})
  target_link_libraries(trellis PRIVATE trellis_build Trellis::plan Trellis::data CLI11::CLI11 nlohmann_json::nlohmann_json yaml-cpp)
  target_include_directories(trellis PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/core)
  set_target_properties(trellis PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endfunction()
