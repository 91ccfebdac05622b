// Looks through a segment that may be damaged anywhere, and tells what of it is whole.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "wal/frame.h"
#include "wal/wal_format.h"

namespace persisting::wal {

struct ScannedFrame {
  std::size_t position = 0;  // in the segment
  FrameKind kind = FrameKind::kRecords;
  std::uint64_t first_offset = 0;
  std::uint64_t records = 0;
  std::uint64_t durable_up_to = 0;
};

// Bytes [begin, end) that are no part of a whole header or frame.
struct DamagedBytes {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct SegmentScan {
  std::string path;
  SegmentName name;
  std::uint64_t bytes = 0;
  std::optional<SegmentHeader> header;     // where it is whole
  std::uint64_t seed = 0;                  // of its frames
  std::uint32_t version = format_version;  // likewise; the newest where the header is damaged
  std::vector<ScannedFrame> frames;        // in the order of the file
  std::vector<DamagedBytes> damaged;       // in the order of the file
};

// The segments in `folder`, in the order of their offsets. `bucket_identity`: what their frames are checked with; without it
// what each header says.
Result<std::vector<SegmentScan>> scan_log(FileSystem& file_system, const std::string& folder,
                                          std::optional<std::uint64_t> bucket_identity);

}  // namespace persisting::wal
