#include "engine/table_rows.h"

#include <functional>
#include <string>
#include <system_error>

#include <nanoarrow/nanoarrow.hpp>

#include "schema/arrow_convert.h"

namespace persisting {

Error stream_error(ArrowArrayStream* stream, int code) {
  const char* text = stream->get_last_error(stream);
  return Error{ErrorCode::kIo, Component::kTable,
               "reading the table: " +
                   std::string(text != nullptr ? text : std::generic_category().message(code))};
}

Status for_each_array(ArrowArrayStream* stream,
                      const std::function<Status(const ArrowSchema&, ArrowArray&)>& consume) {
  nanoarrow::UniqueSchema schema;
  if (const int code = stream->get_schema(stream, schema.get()); code != 0)
    return stream_error(stream, code);
  while (true) {
    nanoarrow::UniqueArray array;
    if (const int code = stream->get_next(stream, array.get()); code != 0)
      return stream_error(stream, code);
    if (array->release == nullptr) return ok_status();
    PERSISTING_RETURN_IF_ERROR(consume(*schema.get(), *array.get()));
  }
}

Status check_row_count(std::uint64_t first, std::uint64_t count, std::uint64_t given) {
  if (given == count) return ok_status();
  return Error{ErrorCode::kCorruption, Component::kTable,
               "the table gave " + std::to_string(given) + " of the " + std::to_string(count) +
                   " rows from offset " + std::to_string(first) + " on"};
}

Result<RecordBatch> read_rows(const TableSnapshot& snapshot, std::uint64_t first,
                              std::uint64_t count, const Schema& schema,
                              std::vector<std::int64_t>* timestamps) {
  nanoarrow::UniqueArrayStream stream;
  PERSISTING_RETURN_IF_ERROR(snapshot.scan(first, count, stream.get()));
  return decode_stream(stream.get(), first, count, schema, timestamps);
}

Result<RecordBatch> decode_stream(ArrowArrayStream* stream, std::uint64_t first,
                                  std::uint64_t count, const Schema& schema,
                                  std::vector<std::int64_t>* timestamps) {
  RecordBatch records;
  PERSISTING_RETURN_IF_ERROR(
      for_each_array(stream, [&](const ArrowSchema& arrow, ArrowArray& rows) {
        return decode_rows(arrow, rows, schema, first + records.size(), &records, timestamps);
      }));
  PERSISTING_RETURN_IF_ERROR(check_row_count(first, count, records.size()));
  return records;
}

}  // namespace persisting
