// Takes frames of the log back into schema and tail, as they were when they were put: for the opening of a bucket, and for a
// view of one that another process has open.
// Failure: kCorruption where the log holds what its own schema refuses.
// Threads: thread-compatible.
#pragma once

#include <cstdint>

#include "persisting/record.h"

#include "schema/schema.h"
#include "tail/tail.h"
#include "wal/wal.h"

namespace persisting {

// Where the frames go. The pointers are to what the replay changes.
struct ReplayTarget {
  std::uint64_t checkpointed_to = 0;  // the schema knows the records below
  std::uint64_t flushed_to = 0;       // the table holds the records below; at least checkpointed_to
  SchemaPtr* schema = nullptr;
  Tail* tail = nullptr;
  std::uint64_t* tail_bytes = nullptr;
  // Receives the records between the two; may be null where there is nothing between them.
  RecordBatch* claimed = nullptr;
};

// The frames come in the order of their offsets.
Status replay_frame(const ReplayedFrame& frame, const ReplayTarget& target);

}  // namespace persisting
