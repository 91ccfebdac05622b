#include "engine/log_replay.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "engine/arrow_chunk.h"
#include "engine/frame_records.h"
#include "schema/admission.h"

namespace persisting {
namespace {

Error refused_by_own_schema(const Error& error) {
  return Error{ErrorCode::kCorruption, Component::kWal,
               "the log holds records that its own schema refuses: " + error.message};
}

// Rows that came in Arrow stay so.
Status replay_rows(const ReplayedFrame& frame, const ReplayTarget& target) {
  auto encoded = std::make_shared<const std::string>(frame.records);
  Result<std::shared_ptr<ArrowRows>> rows = ArrowChunk::decode(encoded);
  if (!rows) return refused_by_own_schema(rows.error());
  const Result<Schema> fields = (*rows)->fields();
  if (!fields) return refused_by_own_schema(fields.error());
  Result<SchemaPtr> admitted = admit_fields(*target.schema, *fields, frame.first_offset);
  if (!admitted) return refused_by_own_schema(admitted.error());
  if ((*rows)->size() != frame.count) {
    return refused_by_own_schema(
        make_error(ErrorCode::kCorruption, "a frame of " + std::to_string(frame.count) +
                                               " rows has " + std::to_string((*rows)->size())));
  }
  *target.schema = std::move(admitted).value();
  *target.tail_bytes += encoded->size();
  target.tail->append(std::make_shared<ArrowChunk>(frame.first_offset, frame.timestamp_us,
                                                   std::move(encoded), std::move(rows).value()));
  return ok_status();
}

}  // namespace

// What the checkpoint covers has told its schema before, and an explicit change may have altered it since.
Status replay_frame(const ReplayedFrame& frame, const ReplayTarget& target) {
  const std::uint64_t end = frame.first_offset + frame.count;
  if (end <= target.checkpointed_to) return ok_status();
  // Frames are whole puts, and checkpoints lie between them.
  if (frame.content == FrameContent::kArrow && frame.first_offset >= target.flushed_to)
    return replay_rows(frame, target);
  PERSISTING_ASSIGN_OR_RETURN(const RecordBatch all, frame_records(frame));
  RecordBatch unflushed;
  RecordBatch unknown;  // to the checkpoint
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::uint64_t offset = frame.first_offset + i;
    if (offset < target.checkpointed_to) continue;
    unknown.add_encoded(all[i]);
    (offset >= target.flushed_to ? unflushed : *target.claimed).add_encoded(all[i]);
  }
  // Under the most tolerant policy: what the log holds was admitted under one that may be another now.
  const AdmissionRules rules{ConflictPolicy::kStringify, false};
  Result<Admission> admitted =
      admit(*target.schema, unknown, std::max(frame.first_offset, target.checkpointed_to), rules);
  if (!admitted) return refused_by_own_schema(admitted.error());
  *target.schema = std::move(admitted->schema);
  if (unflushed.empty()) return ok_status();
  *target.tail_bytes += unflushed.byte_size();
  target.tail->append(std::move(unflushed), frame.timestamp_us);
  return ok_status();
}

}  // namespace persisting
