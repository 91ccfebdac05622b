// From Python objects to the library's values.
// Threads: call with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include "persisting/record.h"
#include "persisting/storage_backend.h"

namespace persisting::python {

namespace nb = nanobind;

// Appends a dict as one record. Raises TypeError or ValueError naming the field (`what` first, e.g. "record 3");
// the batch is then not to be used.
void encode_record(nb::handle record, const std::string& what, RecordBatch& batch);

// A backend's options.
OptionMap encode_options(const nb::dict& options);

}  // namespace persisting::python
