// The records of a frame of the log, however the frame holds them.
// Failure: kCorruption where an Arrow frame does not hold what a put would have taken.
// Threads: free function.
#pragma once

#include "persisting/record.h"
#include "persisting/result.h"

#include "wal/wal.h"

namespace persisting {

// `frame.count` records, in order.
Result<RecordBatch> frame_records(const ReplayedFrame& frame);

}  // namespace persisting
