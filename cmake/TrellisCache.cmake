# Where downloads and compiled objects are kept: one folder outside the clone, shared by all clones of a user.
# TRELLIS_CACHE_DIR is $TRELLIS_CACHE, else $XDG_CACHE_HOME/trellis, else ~/.cache/trellis; bootstrap.sh uses the same rule.
if(DEFINED ENV{TRELLIS_CACHE})
  set(TRELLIS_CACHE_DIR $ENV{TRELLIS_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(TRELLIS_CACHE_DIR $ENV{XDG_CACHE_HOME}/trellis)
else()
  set(TRELLIS_CACHE_DIR $ENV{HOME}/.cache/trellis)
endif()

# Paths below the clone are hashed relative to it, so that another clone or worktree finds the same objects.
find_program(TRELLIS_CCACHE ccache)
mark_as_advanced(TRELLIS_CCACHE)
if(TRELLIS_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_CURRENT_SOURCE_DIR} CCACHE_NOHASHDIR=1
               CCACHE_DIR=${TRELLIS_CACHE_DIR}/ccache ${TRELLIS_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
