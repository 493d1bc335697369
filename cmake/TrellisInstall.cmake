# cmake --install: the command line, the core libraries, the plugins, and the SDK for plugins built elsewhere.
include(CMakePackageConfigHelpers)
