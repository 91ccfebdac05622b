#include "errors.h"

#include <nanobind/stl/string.h>

namespace persisting::python {
namespace {

nb::object exception_class(const Error& error) {
  const auto own = [](const char* name) -> nb::object {
    return nb::module_::import_("persisting._errors").attr(name);
  };
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return nb::borrow(PyExc_ValueError);
    case ErrorCode::kWrongType:
      return nb::borrow(PyExc_TypeError);
    case ErrorCode::kOutOfRange:
      return nb::borrow(PyExc_IndexError);
    case ErrorCode::kSchema:
      return own("SchemaError");
    case ErrorCode::kBusy:
      return own("BusyError");
    default:
      return own(error.component == Component::kWal ? "WALError" : "StorageError");
  }
}

}  // namespace

nb::object make_exception(const Error& error) { return exception_class(error)(error.message); }

void raise(const Error& error) {
  const nb::object exception = make_exception(error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

}  // namespace persisting::python
