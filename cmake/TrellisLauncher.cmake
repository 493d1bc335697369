# Compiles through ccache where it is there, with its objects in the cache folder; to be included before project().
include(${CMAKE_CURRENT_LIST_DIR}/TrellisCache.cmake)

# Paths below the clone are hashed relative to it, so that another clone or worktree finds the same objects.
find_program(TRELLIS_CCACHE ccache)
mark_as_advanced(TRELLIS_CCACHE)
if(TRELLIS_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_CURRENT_SOURCE_DIR} CCACHE_NOHASHDIR=1
               CCACHE_DIR=${TRELLIS_CACHE_DIR}/ccache ${TRELLIS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
