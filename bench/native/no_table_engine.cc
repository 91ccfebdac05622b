#include "no_table_engine.h"

namespace {

// The library frees it with free_string, which does nothing.
int refuse(char** error) {
  static char message[] = "this program has no tables; it measures without a flush";
  *error = message;
  return 1;
}

const persisting_lance_engine engine = {
    .abi_version = PERSISTING_LANCE_ENGINE_ABI,
    .context = nullptr,
    .open = [](void*, const char*, uint64_t, persisting_lance_dataset**,
               char** error) { return refuse(error); },
    .close = [](void*, persisting_lance_dataset*) {},
    .describe = [](void*, persisting_lance_dataset*, uint64_t*, uint64_t*, ArrowSchema*,
                   char** error) { return refuse(error); },
    .data_files = [](void*, persisting_lance_dataset*, char**,
                     char** error) { return refuse(error); },
    .scan = [](void*, persisting_lance_dataset*, uint64_t, uint64_t, const char* const*, size_t,
               ArrowArrayStream*, char** error) { return refuse(error); },
    .write_fragments =
        [](void*, const char*, persisting_lance_dataset*, int, ArrowArrayStream* stream,
           persisting_lance_fragments**, char**, char** error) {
          stream->release(stream);  // it is consumed, also on failure
          return refuse(error);
        },
    .drop_fragments = [](void*, persisting_lance_fragments*) {},
    .commit = [](void*, const char*, uint64_t, int, persisting_lance_fragments*,
                 const persisting_key_value*, size_t, persisting_lance_dataset**,
                 char** error) { return refuse(error); },
    .add_columns =
        [](void*, persisting_lance_dataset*, ArrowSchema* columns, persisting_lance_dataset**,
           char** error) {
          columns->release(columns);
          return refuse(error);
        },
    .drop_columns = [](void*, persisting_lance_dataset*, const char* const*, size_t,
                       persisting_lance_dataset**, char** error) { return refuse(error); },
    .rename_columns = [](void*, persisting_lance_dataset*, const persisting_key_value*, size_t,
                         persisting_lance_dataset**, char** error) { return refuse(error); },
    .merge_fragments = [](void*, persisting_lance_dataset*, uint64_t, uint64_t,
                          persisting_lance_fragments**, char**,
                          char** error) { return refuse(error); },
    .commit_merged = [](void*, persisting_lance_dataset*, persisting_lance_fragments* const*,
                        size_t, persisting_lance_dataset**, char** error) { return refuse(error); },
    .indexed_fragments = [](void*, persisting_lance_dataset*, uint64_t*,
                            char** error) { return refuse(error); },
    .commit_in_place = [](void*, persisting_lance_dataset*, persisting_lance_fragments*,
                          const persisting_key_value*, size_t, persisting_lance_dataset**,
                          char** error) { return refuse(error); },
    .remove_versions = [](void*, persisting_lance_dataset*, const uint64_t*, size_t, uint64_t*,
                          uint64_t*, char** error) { return refuse(error); },
    .free_string = [](void*, char*) {},
};

}  // namespace

const persisting_lance_engine* no_table_engine() { return &engine; }
