#include "persisting/lance_engine.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "arrow_capsule.h"
#include "errors.h"
#include "lance_engine.h"

namespace persisting::python {
namespace {

namespace nb = nanobind;

// The Python functions. Leaked: pool threads may use them until the process ends.
nb::object* python_engine = nullptr;

nb::object call(const char* function) { return python_engine->attr(function); }

// Handles of the ABI are references to Python objects.
template <typename Handle>
Handle* to_handle(nb::object object) {
  return reinterpret_cast<Handle*>(object.release().ptr());
}
template <typename Handle>
nb::object from_handle(Handle* handle) {
  if (handle == nullptr) return nb::none();
  return nb::borrow(reinterpret_cast<PyObject*>(handle));
}

char* copy_string(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

// Runs `body` with the GIL; a Python exception becomes the ABI's error.
template <typename Body>
int guarded(char** error, Body body) {
  const nb::gil_scoped_acquire gil;
  try {
    body();
    return 0;
  } catch (nb::python_error& exception) {
    const nb::object type = nb::borrow(exception.type());
    *error = copy_string(nb::cast<std::string>(nb::str(type.attr("__name__"))) + ": " +
                         nb::cast<std::string>(nb::str(nb::handle(exception.value()))));
  } catch (const std::exception& exception) {
    *error = copy_string(exception.what());
  }
  return 1;
}

nb::list list_of(const char* const* texts, std::size_t count) {
  nb::list list;
  for (std::size_t i = 0; i < count; ++i) list.append(texts[i]);
  return list;
}

nb::dict dict_of(const persisting_key_value* pairs, std::size_t count) {
  nb::dict dict;
  for (std::size_t i = 0; i < count; ++i) dict[pairs[i].key] = pairs[i].value;
  return dict;
}

void release_if_held(ArrowArrayStream* stream) {
  if (stream->release != nullptr) stream->release(stream);
}

int open_dataset(void*, const char* path, std::uint64_t version, persisting_lance_dataset** dataset,
                 char** error) {
  return guarded(error, [&] {
    *dataset = to_handle<persisting_lance_dataset>(call("open_dataset")(path, version));
  });
}

template <typename Handle>
void drop(void*, Handle* handle) {
  if (Py_IsInitialized() == 0) return;  // the object went with the interpreter
  const nb::gil_scoped_acquire gil;
  Py_DECREF(reinterpret_cast<PyObject*>(handle));
}

int describe(void*, persisting_lance_dataset* dataset, std::uint64_t* version, std::uint64_t* rows,
             ArrowSchema* schema, char** error) {
  return guarded(error, [&] {
    const nb::object described = call("describe")(from_handle(dataset));
    *version = nb::cast<std::uint64_t>(described[0]);
    *rows = nb::cast<std::uint64_t>(described[1]);
    move_from_capsule(described[2], schema_capsule, schema);
  });
}

int data_files(void*, persisting_lance_dataset* dataset, char** files, char** error) {
  return guarded(error, [&] {
    *files = copy_string(nb::cast<std::string>(call("data_files")(from_handle(dataset))));
  });
}

int scan(void*, persisting_lance_dataset* dataset, std::uint64_t offset, std::uint64_t limit,
         const char* const* columns, std::size_t column_count, ArrowArrayStream* stream,
         char** error) {
  return guarded(error, [&] {
    nb::object names = nb::none();
    if (column_count > 0) names = list_of(columns, column_count);
    move_from_capsule(nb::object(call("scan")(from_handle(dataset), offset, limit, names)),
                      stream_capsule, stream);
  });
}

int write_fragments(void*, const char* path, persisting_lance_dataset* base, int mode,
                    ArrowArrayStream* stream, persisting_lance_fragments** fragments, char** files,
                    char** error) {
  const int code = guarded(error, [&] {
    const nb::object capsule = move_to_capsule(stream, stream_capsule);
    const nb::object written = call("write_fragments")(path, from_handle(base), mode, capsule);
    *files = copy_string(nb::cast<std::string>(written[1]));
    *fragments = to_handle<persisting_lance_fragments>(nb::borrow(written[0]));
  });
  release_if_held(stream);
  return code;
}

int commit(void*, const char* path, std::uint64_t read_version, int mode,
           persisting_lance_fragments* fragments, const persisting_key_value* properties,
           std::size_t property_count, persisting_lance_dataset** dataset, char** error) {
  return guarded(error, [&] {
    *dataset = to_handle<persisting_lance_dataset>(call("commit")(
        path, read_version, mode, from_handle(fragments), dict_of(properties, property_count)));
  });
}

int add_columns(void*, persisting_lance_dataset* dataset, ArrowSchema* columns,
                persisting_lance_dataset** evolved, char** error) {
  const int code = guarded(error, [&] {
    const nb::object capsule = move_to_capsule(columns, schema_capsule);
    *evolved =
        to_handle<persisting_lance_dataset>(call("add_columns")(from_handle(dataset), capsule));
  });
  if (columns->release != nullptr) columns->release(columns);
  return code;
}

int drop_columns(void*, persisting_lance_dataset* dataset, const char* const* columns,
                 std::size_t column_count, persisting_lance_dataset** changed, char** error) {
  return guarded(error, [&] {
    *changed = to_handle<persisting_lance_dataset>(
        call("drop_columns")(from_handle(dataset), list_of(columns, column_count)));
  });
}

int rename_columns(void*, persisting_lance_dataset* dataset, const persisting_key_value* renames,
                   std::size_t rename_count, persisting_lance_dataset** changed, char** error) {
  return guarded(error, [&] {
    *changed = to_handle<persisting_lance_dataset>(
        call("rename_columns")(from_handle(dataset), dict_of(renames, rename_count)));
  });
}

int merge_fragments(void*, persisting_lance_dataset* dataset, std::uint64_t first,
                    std::uint64_t count, persisting_lance_fragments** merged, char** files,
                    char** error) {
  return guarded(error, [&] {
    const nb::object written = call("merge_fragments")(from_handle(dataset), first, count);
    *files = copy_string(nb::cast<std::string>(written[1]));
    *merged = to_handle<persisting_lance_fragments>(nb::borrow(written[0]));
  });
}

int commit_merged(void*, persisting_lance_dataset* dataset,
                  persisting_lance_fragments* const* merged, std::size_t merged_count,
                  persisting_lance_dataset** compacted, char** error) {
  return guarded(error, [&] {
    nb::list handles;
    for (std::size_t i = 0; i < merged_count; ++i) handles.append(from_handle(merged[i]));
    *compacted =
        to_handle<persisting_lance_dataset>(call("commit_merged")(from_handle(dataset), handles));
  });
}

int indexed_fragments(void*, persisting_lance_dataset* dataset, std::uint64_t* count,
                      char** error) {
  return guarded(error, [&] {
    *count = nb::cast<std::uint64_t>(call("indexed_fragments")(from_handle(dataset)));
  });
}

int commit_in_place(void*, persisting_lance_dataset* dataset, persisting_lance_fragments* merged,
                    const persisting_key_value* properties, std::size_t property_count,
                    persisting_lance_dataset** replaced, char** error) {
  return guarded(error, [&] {
    *replaced = to_handle<persisting_lance_dataset>(call("commit_in_place")(
        from_handle(dataset), from_handle(merged), dict_of(properties, property_count)));
  });
}

int remove_versions(void*, persisting_lance_dataset* dataset, const std::uint64_t* versions,
                    std::size_t version_count, std::uint64_t* removed, std::uint64_t* bytes,
                    char** error) {
  return guarded(error, [&] {
    nb::list numbers;
    for (std::size_t i = 0; i < version_count; ++i) numbers.append(versions[i]);
    const nb::object figures = call("remove_versions")(from_handle(dataset), numbers);
    *removed = nb::cast<std::uint64_t>(figures[0]);
    *bytes = nb::cast<std::uint64_t>(figures[1]);
  });
}

void free_string(void*, char* string) { std::free(string); }

constexpr persisting_lance_engine engine{
    .abi_version = PERSISTING_LANCE_ENGINE_ABI,
    .context = nullptr,
    .open = open_dataset,
    .close = drop<persisting_lance_dataset>,
    .describe = describe,
    .data_files = data_files,
    .scan = scan,
    .write_fragments = write_fragments,
    .drop_fragments = drop<persisting_lance_fragments>,
    .commit = commit,
    .add_columns = add_columns,
    .drop_columns = drop_columns,
    .rename_columns = rename_columns,
    .merge_fragments = merge_fragments,
    .commit_merged = commit_merged,
    .indexed_fragments = indexed_fragments,
    .commit_in_place = commit_in_place,
    .remove_versions = remove_versions,
    .free_string = free_string,
};

}  // namespace

void ensure_lance_engine() {
  if (python_engine != nullptr) return;
  python_engine = new nb::object(nb::module_::import_("persisting._pylance_engine"));
  if (const Status status = register_lance_engine(&engine); !status) raise(status.error());
}

}  // namespace persisting::python
