// The records of a log that may be damaged anywhere, by their offsets.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/verify.h"

#include "base/file_system.h"
#include "wal/segment_scan.h"

namespace persisting {

class LogSalvage {
 public:
  // Both must outlive it.
  LogSalvage(FileSystem& file_system, const std::vector<wal::SegmentScan>& log);

  // Gives whole records with offsets in [first, end), in order, a frame at a time: the first offset, their time, the
  // encoded records. Each offset comes once at most.
  using Consumer = std::function<Status(std::uint64_t first, std::int64_t timestamp_us,
                                        const std::vector<std::string_view>& records)>;
  Status read(std::uint64_t first, std::uint64_t end, const Consumer& consume);

 private:
  struct Frame {
    std::uint64_t first_offset;
    std::uint64_t end_offset;
    const wal::SegmentScan* segment;
    std::size_t position;
  };

  FileSystem& file_system_;
  std::vector<Frame> frames_;  // by offset
  const wal::SegmentScan* loaded_ = nullptr;
  std::string bytes_;  // of loaded_
};

}  // namespace persisting
