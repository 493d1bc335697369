# Generates trellis/plan/fingerprint.h: what a plugin and the core must have in common, as one identifier.
# The compiler, its C++ ABI, the standard library and the sanitizers are taken from macros when the header is compiled, so
# that a plugin states what it was really compiled with. The headers' hash is fixed here, where the SDK is made.
function(_trellis_hash_headers output)
  set(text "")
  foreach(room IN LISTS ARGN)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/core/include
         ${PROJECT_SOURCE_DIR}/core/include/trellis/${room}/*.h)
    foreach(header IN LISTS headers)
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/include/${header})
      file(SHA256 ${PROJECT_SOURCE_DIR}/core/include/${header} hash)
      string(APPEND text "${header} ${hash}\n")
    endforeach()
  endforeach()
  string(SHA256 hash "${text}")
  string(SUBSTRING ${hash} 0 16 hash)
  set(${output} ${hash} PARENT_SCOPE)
endfunction()

set(TRELLIS_ABI 1)  # raised when the meaning of the interfaces changes in a way that the headers' text does not show
_trellis_hash_headers(TRELLIS_PLAN_HASH plan)
_trellis_hash_headers(TRELLIS_RUN_HASH plan run)
if(LibTorch_FOUND)
  string(REPLACE "." "_" TRELLIS_TORCH_TOKEN "${LibTorch_VERSION}")
else()
  set(TRELLIS_TORCH_TOKEN none)
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/fingerprint.h.in ${PROJECT_BINARY_DIR}/include/trellis/plan/fingerprint.h @ONLY)
