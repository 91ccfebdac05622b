# Everything the layers link that is not ours, as targets persisting::<name>.
include(third_party)

add_library(persisting::threads ALIAS Threads::Threads)

# xxHash is used inline (XXH_INLINE_ALL), so it needs no archive.
find_path(PERSISTING_xxhash_INCLUDE_DIR xxhash.h REQUIRED)
mark_as_advanced(PERSISTING_xxhash_INCLUDE_DIR)
add_library(persisting_xxhash INTERFACE)
add_library(persisting::xxhash ALIAS persisting_xxhash)
target_include_directories(persisting_xxhash SYSTEM
                           INTERFACE "${PERSISTING_xxhash_INCLUDE_DIR}")

# nanoarrow has no Debian package. Its sources come with the Python package arx-nanoarrow-sources,
# which requirements/build.txt pins.
if(NOT Python_EXECUTABLE AND EXISTS "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python")
endif()
if(PERSISTING_BUILD_PYTHON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
elseif(NOT PERSISTING_NANOARROW_DIR)
  find_package(Python 3.11 COMPONENTS Interpreter)
endif()

set(PERSISTING_NANOARROW_DIR
    ""
    CACHE PATH "Folder with include/nanoarrow/ and src/nanoarrow.c; empty: ask Python")
set(nanoarrow_dir "${PERSISTING_NANOARROW_DIR}")
if(NOT nanoarrow_dir AND Python_Interpreter_FOUND)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import arx_nanoarrow_sources as s; print(s.get_include_dir().parent)"
    OUTPUT_VARIABLE nanoarrow_dir
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT EXISTS "${nanoarrow_dir}/src/nanoarrow.c")
  message(FATAL_ERROR "nanoarrow sources not found: run scripts/setup, "
                      "or set PERSISTING_NANOARROW_DIR to their folder")
endif()

add_library(persisting_nanoarrow STATIC "${nanoarrow_dir}/src/nanoarrow.c")
add_library(persisting::nanoarrow ALIAS persisting_nanoarrow)
target_include_directories(persisting_nanoarrow SYSTEM PUBLIC "${nanoarrow_dir}/include")
# Our copy must not meet another nanoarrow in the same process.
target_compile_definitions(persisting_nanoarrow PUBLIC NANOARROW_NAMESPACE=PersistingPrivate)
target_compile_options(persisting_nanoarrow PRIVATE -w)
