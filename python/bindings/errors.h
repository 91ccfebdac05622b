// From the library's errors to Python's exceptions, in one place.
// kInvalidArgument: ValueError; kWrongType: TypeError; kSchema: SchemaError; kOutOfRange: IndexError; kBusy: BusyError;
// else WALError for the log's component and StorageError for the rest.
// Threads: call with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include "persisting/result.h"

namespace persisting::python {

namespace nb = nanobind;

// The exception object for `error`.
nb::object make_exception(const Error& error);

// Throws it.
[[noreturn]] void raise(const Error& error);

template <typename T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return std::move(result).value();
}

}  // namespace persisting::python
