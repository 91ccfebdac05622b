// From encoded records to Python dicts.
// Threads: call with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include "persisting/record.h"
#include "persisting/storage_backend.h"

namespace persisting::python {

namespace nb = nanobind;

// A list with one dict a record.
nb::list decode_records(const RecordBatch& records);

nb::dict decode_stats(const BackendStats& stats);

}  // namespace persisting::python
