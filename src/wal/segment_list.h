#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/wal_format.h"

namespace persisting::wal {

struct ListedSegment {
  std::string path;
  SegmentName name;
};

// The segments in `folder`, in the order of their offsets, then of their epochs. Thread-safe.
Result<std::vector<ListedSegment>> list_segments(FileSystem& file_system,
                                                 const std::string& folder);

}  // namespace persisting::wal
