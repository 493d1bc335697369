# cmake --install: the command line, the core libraries, the plugins, and the SDK for plugins that are built elsewhere.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Trellis)

# One export file a half: a project without LibTorch can still use the plan side.
set_target_properties(trellis_plan PROPERTIES EXPORT_NAME plan INSTALL_RPATH $ORIGIN)
set_target_properties(trellis_data PROPERTIES EXPORT_NAME data INSTALL_RPATH $ORIGIN)
install(TARGETS trellis_plan trellis_data EXPORT TrellisPlan FILE_SET HEADERS)
install(EXPORT TrellisPlan NAMESPACE Trellis:: DESTINATION ${package})
if(TRELLIS_RUN)
  set_target_properties(trellis_run PROPERTIES EXPORT_NAME run INSTALL_RPATH $ORIGIN)
  install(TARGETS trellis_run EXPORT TrellisRun FILE_SET HEADERS)
  install(EXPORT TrellisRun NAMESPACE Trellis:: DESTINATION ${package})
  install(FILES cmake/FindLibTorch.cmake cmake/TrellisCache.cmake DESTINATION ${package})
endif()
foreach(target trellis trellis_cuda)
  if(TARGET ${target})
    install(TARGETS ${target})
  endif()
endforeach()

configure_package_config_file(cmake/TrellisConfig.cmake.in TrellisConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(TrellisConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TrellisConfig.cmake ${PROJECT_BINARY_DIR}/TrellisConfigVersion.cmake
              cmake/TrellisPlugin.cmake DESTINATION ${package})
