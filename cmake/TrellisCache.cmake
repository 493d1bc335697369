# Where downloads and compiled objects are kept: one folder outside the clone, shared by all clones of a user.
# TRELLIS_CACHE_DIR is $TRELLIS_CACHE, else $XDG_CACHE_HOME/trellis, else ~/.cache/trellis; bootstrap.sh uses the same rule.
if(DEFINED ENV{TRELLIS_CACHE})
  set(TRELLIS_CACHE_DIR $ENV{TRELLIS_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(TRELLIS_CACHE_DIR $ENV{XDG_CACHE_HOME}/trellis)
else()
  set(TRELLIS_CACHE_DIR $ENV{HOME}/.cache/trellis)
endif()
