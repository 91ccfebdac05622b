// Reads rows of a table back as records.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "persisting/record.h"

#include "schema/schema.h"
#include "table/table.h"

namespace persisting {

// Records [first, first + count) of the snapshot as a reader with `schema` sees them; `timestamps`, where given, receives
// their times.
Result<RecordBatch> read_rows(const TableSnapshot& snapshot, std::uint64_t first,
                              std::uint64_t count, const Schema& schema,
                              std::vector<std::int64_t>* timestamps = nullptr);

// The same of a scan of these rows.
Result<RecordBatch> decode_stream(ArrowArrayStream* stream, std::uint64_t first,
                                  std::uint64_t count, const Schema& schema,
                                  std::vector<std::int64_t>* timestamps = nullptr);

// Calls `consume` with the stream's type and each of its arrays, which it may move out.
Status for_each_array(ArrowArrayStream* stream,
                      const std::function<Status(const ArrowSchema&, ArrowArray&)>& consume);

// kCorruption where a scan of `count` rows from offset `first` on gave another number.
Status check_row_count(std::uint64_t first, std::uint64_t count, std::uint64_t given);

// What a stream of the table says of its failure.
Error stream_error(ArrowArrayStream* stream, int code);

}  // namespace persisting
