#include "engine/log_salvage.h"

#include <algorithm>

#include "engine/frame_records.h"

namespace persisting {
namespace {

// A later opening began its first segment where the log ended for it: what an older one wrote from there on had been cut off.
bool is_superseded(const wal::SegmentScan& segment, const wal::ScannedFrame& frame,
                   const std::vector<wal::SegmentScan>& log) {
  return std::any_of(log.begin(), log.end(), [&](const wal::SegmentScan& other) {
    return other.name.epoch > segment.name.epoch && other.name.first_offset <= frame.first_offset;
  });
}

}  // namespace

LogSalvage::LogSalvage(FileSystem& file_system, const std::vector<wal::SegmentScan>& log)
    : file_system_(file_system) {
  for (const wal::SegmentScan& segment : log) {
    for (const wal::ScannedFrame& frame : segment.frames) {
      if (frame.records == 0 || is_superseded(segment, frame, log)) continue;
      frames_.push_back(
          {frame.first_offset, frame.first_offset + frame.records, &segment, frame.position});
    }
  }
  std::stable_sort(frames_.begin(), frames_.end(),
                   [](const Frame& a, const Frame& b) { return a.first_offset < b.first_offset; });
}

Status LogSalvage::read(std::uint64_t first, std::uint64_t end, const Consumer& consume) {
  for (const Frame& frame : frames_) {
    if (frame.end_offset <= first) continue;
    if (frame.first_offset >= end) break;
    if (loaded_ != frame.segment) {
      PERSISTING_ASSIGN_OR_RETURN(bytes_, file_system_.read_file(frame.segment->path));
      loaded_ = frame.segment;
    }
    wal::FrameDecoder decoder(frame.segment->seed, frame.segment->version);
    wal::DecodedFrame decoded;
    if (!decoder.decode(bytes_, frame.position, &decoded)) {
      return wal::wal_error(ErrorCode::kIo, frame.segment->path + ": byte " +
                                                std::to_string(frame.position) +
                                                ": changed while it was read");
    }
    PERSISTING_ASSIGN_OR_RETURN(const RecordBatch all, frame_records(decoded.replayed()));
    std::vector<std::string_view> records;
    const std::uint64_t begin = std::max(first, frame.first_offset);
    for (std::uint64_t offset = begin; offset < std::min(end, frame.end_offset); ++offset)
      records.push_back(all[offset - frame.first_offset]);
    PERSISTING_RETURN_IF_ERROR(consume(begin, decoded.timestamp_us, records));
    first = begin + records.size();
  }
  return ok_status();
}

}  // namespace persisting
