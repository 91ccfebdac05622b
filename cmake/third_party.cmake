# Finds the libraries that Persisting links, as targets persisting::<name>. Static archives only, so
# that a wheel or a program built with Persisting needs none of them at run time.
# Used by the build and, once installed, by find_package(persisting).

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(_persisting_find_archive name header archive package)
  if(TARGET persisting::${name})
    return()
  endif()
  find_path(PERSISTING_${name}_INCLUDE_DIR ${header})
  find_library(PERSISTING_${name}_ARCHIVE NAMES ${archive})
  mark_as_advanced(PERSISTING_${name}_INCLUDE_DIR PERSISTING_${name}_ARCHIVE)
  if(NOT PERSISTING_${name}_INCLUDE_DIR OR NOT PERSISTING_${name}_ARCHIVE)
    message(FATAL_ERROR "${header} or ${archive} not found (Debian: ${package})")
  endif()
  add_library(persisting::${name} STATIC IMPORTED)
  set_target_properties(
    persisting::${name}
    PROPERTIES IMPORTED_LOCATION "${PERSISTING_${name}_ARCHIVE}" INTERFACE_INCLUDE_DIRECTORIES
                                                                 "${PERSISTING_${name}_INCLUDE_DIR}")
endfunction()

_persisting_find_archive(md md5.h libmd.a libmd-dev)
_persisting_find_archive(zstd zstd.h libzstd.a libzstd-dev)
_persisting_find_archive(lz4 lz4.h liblz4.a liblz4-dev)
_persisting_find_archive(snappy snappy.h libsnappy.a libsnappy-dev)
