# Installs the library, its headers and a package config for find_package(persisting).
include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/persisting")
install(TARGETS persisting EXPORT persisting_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(
  EXPORT persisting_targets
  NAMESPACE persisting::
  FILE persisting-targets.cmake
  DESTINATION ${config_dir})

# Exported apart: whoever does not ask for the component needs no prometheus-cpp.
if(TARGET persisting_prometheus)
  install(TARGETS persisting_prometheus EXPORT persisting_prometheus_targets)
  install(
    EXPORT persisting_prometheus_targets
    NAMESPACE persisting::
    FILE persisting-prometheus-targets.cmake
    DESTINATION ${config_dir})
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/persisting-config.cmake.in"
  "${PROJECT_BINARY_DIR}/persisting-config.cmake" INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/persisting-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/persisting-config.cmake"
              "${PROJECT_BINARY_DIR}/persisting-config-version.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/third_party.cmake" DESTINATION ${config_dir})
