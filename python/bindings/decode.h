// From encoded records to Python dicts.
// Threads: call with the GIL held.
#pragma once

#include <vector>

#include <nanobind/nanobind.h>

#include "persisting/record.h"
#include "persisting/record_page.h"
#include "persisting/storage_backend.h"

namespace persisting::python {

namespace nb = nanobind;

// A list with one dict a record.
nb::list decode_page(const RecordPage& page);
nb::list decode_records(const RecordBatch& records);

nb::object decode_value(const Value& value);

nb::dict decode_stats(const BackendStats& stats);

// A list with one dict a field, or a change.
nb::list decode_schema(const std::vector<FieldDescription>& fields);
nb::list decode_history(const std::vector<SchemaChange>& changes);
nb::dict decode_report(const CompactionReport& report);

}  // namespace persisting::python
