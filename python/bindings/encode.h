// From Python objects to the library's values.
// Threads: call with the GIL held.
#pragma once

#include <cstdint>

#include <nanobind/nanobind.h>

#include "persisting/record.h"
#include "persisting/storage_backend.h"

#include "plain_encode.h"

namespace persisting::python {

namespace nb = nanobind;

// A dict behind what `sink` holds; a dict as one record; a list of dicts. Raise TypeError or ValueError naming record and field.
// `shape`: of the records before, and then of the last one.
void append_record(nb::handle record, RecordShape& shape, ByteSink& sink);
RecordBatch encode_record(nb::handle record, RecordShape& shape);
struct EncodedRecords {
  RecordBatch batch;
  std::uint64_t shape = 0;  // the serial of the shape that all of them have; 0: they differ
};
EncodedRecords encode_records(nb::handle records, RecordShape& shape);

// A backend's options.
OptionMap encode_options(const nb::dict& options);

}  // namespace persisting::python
