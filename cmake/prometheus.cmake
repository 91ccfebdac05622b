# The optional component: persisting/prometheus.h, as the target persisting::prometheus.
set(PERSISTING_PROMETHEUS
    AUTO
    CACHE STRING "Metrics for prometheus-cpp: ON, OFF, or AUTO where prometheus-cpp is found")
set_property(CACHE PERSISTING_PROMETHEUS PROPERTY STRINGS AUTO ON OFF)

# A wheel carries the Python package alone, which uses Python's own client.
if(PERSISTING_BUILD_PYTHON OR NOT PERSISTING_PROMETHEUS)
  return()
endif()
find_package(prometheus-cpp CONFIG QUIET)
if(NOT prometheus-cpp_FOUND)
  if(PERSISTING_PROMETHEUS STREQUAL "AUTO")
    return()
  endif()
  message(FATAL_ERROR "prometheus-cpp not found, which PERSISTING_PROMETHEUS=ON wants "
                      "(Debian: prometheus-cpp-dev)")
endif()

add_library(persisting_prometheus INTERFACE)
add_library(persisting::prometheus ALIAS persisting_prometheus)
set_target_properties(persisting_prometheus PROPERTIES EXPORT_NAME prometheus)
target_link_libraries(persisting_prometheus INTERFACE persisting::persisting prometheus-cpp::core)
