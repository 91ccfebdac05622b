#include "persisting/lance_engine.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

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

// Moves an Arrow struct out of a PyCapsule of the Arrow PyCapsule interface.
template <typename T>
void move_from_capsule(const nb::object& capsule, const char* name, T* out) {
  T* source = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (source == nullptr) throw nb::python_error();
  *out = *source;
  source->release = nullptr;
}

// Moves an Arrow struct into a PyCapsule, which releases it unless its consumer has.
template <typename T>
nb::object move_to_capsule(T* source, const char* name) {
  auto owned = std::make_unique<T>(*source);
  source->release = nullptr;
  PyObject* capsule = PyCapsule_New(owned.get(), name, [](PyObject* self) {
    T* held = static_cast<T*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self)));
    if (held->release != nullptr) held->release(held);
    delete held;
  });
  if (capsule == nullptr) {
    *source = *owned;
    throw nb::python_error();
  }
  (void)owned.release();
  return nb::steal(capsule);
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
    move_from_capsule(described[2], "arrow_schema", schema);
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
    if (column_count > 0) {
      nb::list list;
      for (std::size_t i = 0; i < column_count; ++i) list.append(columns[i]);
      names = std::move(list);
    }
    move_from_capsule(nb::object(call("scan")(from_handle(dataset), offset, limit, names)),
                      "arrow_array_stream", stream);
  });
}

int write_fragments(void*, const char* path, persisting_lance_dataset* base, int mode,
                    ArrowArrayStream* stream, persisting_lance_fragments** fragments, char** files,
                    char** error) {
  const int code = guarded(error, [&] {
    const nb::object capsule = move_to_capsule(stream, "arrow_array_stream");
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
    nb::dict pairs;
    for (std::size_t i = 0; i < property_count; ++i) pairs[properties[i].key] = properties[i].value;
    *dataset = to_handle<persisting_lance_dataset>(
        call("commit")(path, read_version, mode, from_handle(fragments), pairs));
  });
}

int add_columns(void*, persisting_lance_dataset* dataset, ArrowSchema* columns,
                persisting_lance_dataset** evolved, char** error) {
  const int code = guarded(error, [&] {
    const nb::object capsule = move_to_capsule(columns, "arrow_schema");
    *evolved =
        to_handle<persisting_lance_dataset>(call("add_columns")(from_handle(dataset), capsule));
  });
  if (columns->release != nullptr) columns->release(columns);
  return code;
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
    .free_string = free_string,
};

}  // namespace

void ensure_lance_engine() {
  if (python_engine != nullptr) return;
  python_engine = new nb::object(nb::module_::import_("persisting._pylance_engine"));
  if (const Status status = register_lance_engine(&engine); !status) raise(status.error());
}

}  // namespace persisting::python
