# trellis_add_test_suite(NAME name SOURCES file... [RUN] [TIMEOUT seconds] [LABELS label...] [LINK target...])
#
# Builds the executable NAME of doctest cases and registers one test with ctest for each source file, named
# NAME/<file>. RUN: the suite needs the run side and is left out where that is not built. Tests are started in the
# repository's root, with one thread for each process: several of them run at a time.
function(trellis_add_test_suite)
  cmake_parse_arguments(PARSE_ARGV 0 arg "RUN" "NAME;TIMEOUT" "SOURCES;LABELS;LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "trellis_add_test_suite(${arg_NAME}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_SOURCES OR (arg_RUN AND NOT TRELLIS_RUN))
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(TRELLIS_SANITIZE)
    math(EXPR arg_TIMEOUT "4 * ${arg_TIMEOUT}")
  endif()

  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${arg_NAME} PRIVATE trellis_build trellis_test_support Trellis::plan
    $<$<BOOL:${arg_RUN}>:Trellis::run> yaml-cpp nlohmann_json::nlohmann_json Boost::headers ${arg_LINK})

  foreach(source IN LISTS arg_SOURCES)
    cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    cmake_path(GET path STEM file)
    add_test(NAME ${arg_NAME}/${file} COMMAND ${arg_NAME} --source-file=*${path}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${arg_NAME}/${file} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
      ENVIRONMENT "OMP_NUM_THREADS=1;MKL_NUM_THREADS=1;OMP_WAIT_POLICY=passive")
  endforeach()
endfunction()
