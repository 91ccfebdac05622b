#include "engine/frame_records.h"

#include <memory>
#include <string>

#include "engine/arrow_chunk.h"

namespace persisting {
namespace {

// Rows as records of the fields that they bring.
Result<RecordBatch> arrow_records(const ReplayedFrame& frame) {
  PERSISTING_ASSIGN_OR_RETURN(
      const auto rows, ArrowChunk::decode(std::make_shared<const std::string>(frame.records)));
  if (rows->size() != frame.count) {
    return make_error(ErrorCode::kCorruption,
                      "its Arrow data have " + std::to_string(rows->size()) + " rows instead of " +
                          std::to_string(frame.count));
  }
  PERSISTING_ASSIGN_OR_RETURN(const Schema schema, rows->fields());
  RecordBatch records;
  PERSISTING_RETURN_IF_ERROR(rows->read(0, rows->size(), schema, &records));
  return records;
}

}  // namespace

Result<RecordBatch> frame_records(const ReplayedFrame& frame) {
  if (frame.content == FrameContent::kArrow) {
    Result<RecordBatch> records = arrow_records(frame);
    if (records) return records;
    return Error{ErrorCode::kCorruption, Component::kWal,
                 "the frame of the log at offset " + std::to_string(frame.first_offset) + ": " +
                     records.error().message};
  }
  RecordBatch records;
  records.reserve(frame.count, frame.records.size());
  std::size_t position = 0;
  for (const std::uint32_t length : frame.record_bytes) {
    records.add_encoded(frame.records.substr(position, length));
    position += length;
  }
  return records;
}

}  // namespace persisting
