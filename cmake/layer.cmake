# persisting_layer(<name> [SOURCES <file>...] [DEPENDS <layer>...] [LIBRARIES <library>...])
#
# Declares the layer in the current folder as the target persisting_<name>. Without SOURCES it is
# header-only. LIBRARIES are names of cmake/dependencies.cmake: xxhash md zstd lz4 snappy nanoarrow
# nlohmann_json threads. scripts/check_includes.py enforces which layer may see which.
function(persisting_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "persisting_layer(${name}): unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()

  set(target persisting_${name})
  if(arg_SOURCES)
    set(scope PUBLIC)
    add_library(${target} STATIC ${arg_SOURCES})
    persisting_warnings(${target})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "${PROJECT_SOURCE_DIR}/include"
                                                "${PROJECT_SOURCE_DIR}/src")
  list(TRANSFORM arg_DEPENDS PREPEND persisting_)
  list(TRANSFORM arg_LIBRARIES PREPEND persisting::)
  target_link_libraries(${target} ${scope} ${arg_DEPENDS} ${arg_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY PERSISTING_LAYERS ${name})
endfunction()
