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

if(PERSISTING_BUILD_PYTHON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
endif()

# Headers alone.
find_path(PERSISTING_nlohmann_json_INCLUDE_DIR nlohmann/json.hpp REQUIRED)
mark_as_advanced(PERSISTING_nlohmann_json_INCLUDE_DIR)
add_library(persisting_nlohmann_json INTERFACE)
add_library(persisting::nlohmann_json ALIAS persisting_nlohmann_json)
target_include_directories(persisting_nlohmann_json SYSTEM
                           INTERFACE "${PERSISTING_nlohmann_json_INCLUDE_DIR}")

# nanoarrow with its IPC component, and flatcc under that. Neither is packaged with sources, so they
# are kept here; third_party/README.md has their origin.
set(third_party_dir "${PROJECT_SOURCE_DIR}/third_party")
set(nanoarrow_dir "${third_party_dir}/nanoarrow/src/nanoarrow")
set(flatcc_dir "${third_party_dir}/flatcc")
set(NANOARROW_VERSION_MAJOR 0)
set(NANOARROW_VERSION_MINOR 9)
set(NANOARROW_VERSION_PATCH 0)
set(NANOARROW_VERSION 0.9.0)
# Our copy must not meet another nanoarrow in the same process.
set(NANOARROW_NAMESPACE_DEFINE "#define NANOARROW_NAMESPACE PersistingPrivate")
set(nanoarrow_config_dir "${PROJECT_BINARY_DIR}/third_party")
configure_file("${nanoarrow_dir}/nanoarrow_config.h.in"
               "${nanoarrow_config_dir}/nanoarrow/nanoarrow_config.h" @ONLY)

add_library(
  persisting_nanoarrow STATIC
  "${nanoarrow_dir}/common/array.c"
  "${nanoarrow_dir}/common/array_stream.c"
  "${nanoarrow_dir}/common/schema.c"
  "${nanoarrow_dir}/common/utils.c"
  "${nanoarrow_dir}/ipc/codecs.c"
  "${nanoarrow_dir}/ipc/decoder.c"
  "${nanoarrow_dir}/ipc/encoder.c"
  "${flatcc_dir}/src/runtime/builder.c"
  "${flatcc_dir}/src/runtime/emitter.c"
  "${flatcc_dir}/src/runtime/refmap.c"
  "${flatcc_dir}/src/runtime/verifier.c")
add_library(persisting::nanoarrow ALIAS persisting_nanoarrow)
target_include_directories(
  persisting_nanoarrow SYSTEM
  PUBLIC "${third_party_dir}/nanoarrow/src" "${nanoarrow_config_dir}" "${flatcc_dir}/include"
         "${third_party_dir}")
# A nested column takes two levels of a message; the default of 100 is too few for a record's 60.
target_compile_definitions(persisting_nanoarrow PRIVATE FLATCC_VERIFIER_MAX_LEVELS=200)
target_compile_options(persisting_nanoarrow PRIVATE -w -include
                                                    "${third_party_dir}/flatcc_names.h")
set_source_files_properties(
  "${nanoarrow_dir}/ipc/encoder.c"
  PROPERTIES COMPILE_OPTIONS "-include;${third_party_dir}/flatcc_whole_strings.h")
