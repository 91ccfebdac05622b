// Reads a log's segments after a crash: delivers every frame, cuts off a torn end, refuses damage before it.
// Guarantee: what is delivered is a prefix of what was enqueued, with everything that later bytes prove durable; once this
//            has returned it is durable.
// Failure:   an error on read is an error, never a torn end.
// Threads:   free function; called while opening, before the log has any user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

namespace persisting::wal {

// A closed segment.
struct SealedSegment {
  std::string path;
  std::uint64_t end_offset = 0;
  std::uint64_t bytes = 0;
};

struct RecoveredLog {
  std::vector<SealedSegment> segments;  // oldest first
  SegmentEnd last;                      // of the newest one
  std::uint64_t highest_epoch = 0;
  WalRecovery report;
};

Result<RecoveredLog> recover_log(FileSystem& file_system, const WalOptions& options,
                                 std::uint64_t flushed_to, const Wal::Replay& replay);

}  // namespace persisting::wal
