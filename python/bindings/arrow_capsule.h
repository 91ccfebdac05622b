// Arrow structs in and out of PyCapsules, by the Arrow PyCapsule interface.
// Threads: call with the GIL held.
#pragma once

#include <memory>

#include <nanobind/nanobind.h>

namespace persisting::python {

namespace nb = nanobind;

inline constexpr const char* schema_capsule = "arrow_schema";
inline constexpr const char* array_capsule = "arrow_array";
inline constexpr const char* stream_capsule = "arrow_array_stream";

// Moves an Arrow struct out of a capsule.
template <typename T>
void move_from_capsule(const nb::object& capsule, const char* name, T* out) {
  T* source = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (source == nullptr) throw nb::python_error();
  *out = *source;
  source->release = nullptr;
}

// Moves an Arrow struct into a capsule, which releases it unless its consumer has.
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

}  // namespace persisting::python
