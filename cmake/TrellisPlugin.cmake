# trellis_add_plugin(NAME name KIND kind SOURCES file... [RUN_SOURCES file...] [MANIFEST plugin.yaml])
#
# Builds a plugin as <build>/plugins/KIND/NAME/libtrellis_KIND_NAME.so with its manifest beside it, so that
# <build>/plugins is a folder for TRELLIS_PLUGIN_PATH. KIND is parallelism, models or search.
# RUN_SOURCES become a second library, libtrellis_KIND_NAME_run.so, which may use LibTorch through Trellis::run.
# Part of the SDK: in this repository and in a project that calls find_package(Trellis) it is the same function.
function(trellis_add_plugin)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;KIND;MANIFEST" "SOURCES;RUN_SOURCES")
  foreach(required NAME KIND SOURCES)
    if(NOT arg_${required})
      message(FATAL_ERROR "trellis_add_plugin: ${required} is missing. "
                          "Usage: trellis_add_plugin(NAME name KIND kind SOURCES file...)")
    endif()
  endforeach()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "trellis_add_plugin(${arg_NAME}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(kinds parallelism models search)
  if(NOT arg_KIND IN_LIST kinds)
    message(FATAL_ERROR "trellis_add_plugin(${arg_NAME}): KIND is '${arg_KIND}'; expected one of ${kinds}")
  endif()
  if(NOT arg_NAME MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "trellis_add_plugin: NAME '${arg_NAME}' must be lower-case letters, digits and underscores")
  endif()
  if(NOT arg_MANIFEST)
    set(arg_MANIFEST ${CMAKE_CURRENT_SOURCE_DIR}/plugin.yaml)
  endif()
  cmake_path(ABSOLUTE_PATH arg_MANIFEST)
  if(NOT EXISTS ${arg_MANIFEST})
    message(FATAL_ERROR "trellis_add_plugin(${arg_NAME}): there is no ${arg_MANIFEST}; "
                        "write one, or name it with MANIFEST")
  endif()

  set(target trellis_${arg_KIND}_${arg_NAME})
  set(folder ${CMAKE_BINARY_DIR}/plugins/${arg_KIND}/${arg_NAME})
  configure_file(${arg_MANIFEST} ${folder}/plugin.yaml COPYONLY)
  _trellis_plugin_library(${target} ${folder} Trellis::plan ${arg_SOURCES})
  if(arg_RUN_SOURCES)
    if(NOT TARGET Trellis::run)
      message(FATAL_ERROR "trellis_add_plugin(${arg_NAME}): RUN_SOURCES need the run side (LibTorch), "
                          "which was not found or not built")
    endif()
    _trellis_plugin_library(${target}_run ${folder} Trellis::run ${arg_RUN_SOURCES})
  endif()
endfunction()

# One library of a plugin. Hidden visibility: its entry point is the only thing others may see. -z defs: a symbol that no
# core library has is an error now, not when the plugin is loaded.
function(_trellis_plugin_library target folder core)
  add_library(${target} MODULE ${ARGN})
  target_link_libraries(${target} PRIVATE ${core})
  if(TARGET trellis_build)
    target_link_libraries(${target} PRIVATE trellis_build)
  endif()
  if(NOT (TRELLIS_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL Clang))  # clang leaves sanitizer symbols to the executable
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
  set_target_properties(${target} PROPERTIES
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${folder}
    INSTALL_RPATH "$ORIGIN/../../../..")
endfunction()
