// The C ABI between the library and an implementation of the Lance format.
// The library decides what happens in which order (fsync, checkpoint, evolution); an engine only
// executes. Two official implementations can stand behind it: pylance (registered by the Python package)
// and the `lance` crate.
//
// Every function returns 0, or non-zero after putting a message into `error` (which the library
// frees with engine->free_string). Strings are NUL-terminated UTF-8. Arrow data crosses by the Arrow C
// Data and C Stream Interface: an in-stream is consumed (also on failure), an out-stream is released by the library.
// Threads: an engine must be callable from any thread; a dataset handle by several at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "persisting/arrow_c_data.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PERSISTING_LANCE_ENGINE_ABI 5

// Names as is usual in C.
// NOLINTBEGIN(readability-identifier-naming)

typedef struct persisting_lance_dataset persisting_lance_dataset;
typedef struct persisting_lance_fragments persisting_lance_fragments;

typedef struct persisting_key_value {
  const char* key;
  const char* value;
} persisting_key_value;

enum persisting_lance_commit_mode {
  PERSISTING_LANCE_APPEND = 0,     // adds the fragments to those of the read version
  PERSISTING_LANCE_OVERWRITE = 1,  // replaces schema and fragments in one version
};

typedef struct persisting_lance_engine {
  uint32_t abi_version;
  void* context;

  // Opens exactly `version` of the dataset in folder `path`.
  int (*open)(void* context, const char* path, uint64_t version, persisting_lance_dataset** dataset,
              char** error);
  void (*close)(void* context, persisting_lance_dataset* dataset);

  // The dataset's version, number of rows, and schema (a struct type, released by the caller).
  int (*describe)(void* context, persisting_lance_dataset* dataset, uint64_t* version,
                  uint64_t* rows, struct ArrowSchema* schema, char** error);

  // The data files of the dataset's version in the order of their rows, one a line, of four parts with a tab between: id of
  // the fragment, its number of rows, size in bytes (0: unknown), name below the data folder.
  int (*data_files)(void* context, persisting_lance_dataset* dataset, char** files, char** error);

  // Rows [offset, offset + limit) in order, `columns` of them (none: all).
  int (*scan)(void* context, persisting_lance_dataset* dataset, uint64_t offset, uint64_t limit,
              const char* const* columns, size_t column_count, struct ArrowArrayStream* stream,
              char** error);

  // Writes data files for a stream, uncommitted. `base` may be null: a new dataset.
  // Returns the fragments and the names of the data files, as data_files() does.
  int (*write_fragments)(void* context, const char* path, persisting_lance_dataset* base, int mode,
                         struct ArrowArrayStream* stream, persisting_lance_fragments** fragments,
                         char** files, char** error);
  void (*drop_fragments)(void* context, persisting_lance_fragments* fragments);

  // Commits fragments on top of exactly `read_version` (0: a new dataset) and opens the new version.
  int (*commit)(void* context, const char* path, uint64_t read_version, int mode,
                persisting_lance_fragments* fragments, const persisting_key_value* properties,
                size_t property_count, persisting_lance_dataset** dataset, char** error);

  // Adds nullable columns (the fields of a struct type, consumed) that read as null in every
  // row so far, in one new version on top of `dataset`, and opens it.
  int (*add_columns)(void* context, persisting_lance_dataset* dataset, struct ArrowSchema* columns,
                     persisting_lance_dataset** evolved, char** error);

  // Drops top-level columns, or gives them new names (`renames`: old name, new name; all at once, so
  // that two columns may swap theirs), in one new version on top of `dataset`, and opens it. Data
  // files stay as they are, except that a version no longer names one of which all columns are
  // dropped. A column that is missing, and a new name that is taken, are failures.
  int (*drop_columns)(void* context, persisting_lance_dataset* dataset, const char* const* columns,
                      size_t column_count, persisting_lance_dataset** changed, char** error);
  int (*rename_columns)(void* context, persisting_lance_dataset* dataset,
                        const persisting_key_value* renames, size_t rename_count,
                        persisting_lance_dataset** changed, char** error);

  // Writes the rows of `count` neighbouring fragments, from the `first`-th on in the order of
  // data_files(), anew as one, uncommitted. Returns the names of the data files, as data_files() does.
  int (*merge_fragments)(void* context, persisting_lance_dataset* dataset, uint64_t first,
                         uint64_t count, persisting_lance_fragments** merged, char** files,
                         char** error);

  // Replaces what each of `merged` was made of by it, all in one version, and opens that. It may commit
  // others of the same rows before. As new fragments stand behind those that stay, `merged` must be in the
  // order of rows and reach to the last one without a gap.
  int (*commit_merged)(void* context, persisting_lance_dataset* dataset,
                       persisting_lance_fragments* const* merged, size_t merged_count,
                       persisting_lance_dataset** compacted, char** error);

  // How many fragments from the first on there are up to the last one that an index of another program covers; 0: none.
  int (*indexed_fragments)(void* context, persisting_lance_dataset* dataset, uint64_t* count,
                           char** error);

  // Replaces the fragments that `merged` was made of by it, in their place among the others, in one new version with
  // these properties on top of `dataset`, and opens that. Fragments may have been appended since they were read. None
  // of those replaced may be covered by an index: nothing carries it over.
  int (*commit_in_place)(void* context, persisting_lance_dataset* dataset,
                         persisting_lance_fragments* merged, const persisting_key_value* properties,
                         size_t property_count, persisting_lance_dataset** replaced, char** error);

  // Removes versions older than the dataset's, and the files that only they name. A version that other
  // programs have tagged stays. Returns how many versions went, and the bytes of all that did.
  int (*remove_versions)(void* context, persisting_lance_dataset* dataset, const uint64_t* versions,
                         size_t version_count, uint64_t* removed, uint64_t* bytes, char** error);

  void (*free_string)(void* context, char* string);
} persisting_lance_engine;
// NOLINTEND(readability-identifier-naming)

#ifdef __cplusplus
}  // extern "C"

#include "persisting/result.h"

namespace persisting {

// Makes `engine` the one that LanceBackend and PersistingBackend use from now on; null removes it. It must
// outlive every backend. Fails with kUnsupported for another ABI version. Thread-safe.
Status register_lance_engine(const persisting_lance_engine* engine);

}  // namespace persisting
#endif
