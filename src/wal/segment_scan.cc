#include "wal/segment_scan.h"

#include <algorithm>
#include <utility>

#include "wal/segment_list.h"
#include "wal/torn_end.h"

namespace persisting::wal {
namespace {

// Only where a frame ends is the place of the next one known; behind damage it can stand at any multiple of eight.
void scan_frames(std::string_view bytes, SegmentScan* scan) {
  std::size_t position = segment_header_bytes;
  FrameDecoder decoder(scan->seed, scan->version);
  DecodedFrame frame;
  while (position < bytes.size()) {
    if (decoder.decode(bytes, position, &frame)) {
      scan->frames.push_back(
          {position, frame.kind, frame.first_offset, frame.count, frame.durable_up_to});
      position += frame.file_bytes;
      continue;
    }
    if (is_room(bytes, position)) return;
    const std::size_t end = std::min(position + frame_alignment, bytes.size());
    if (!scan->damaged.empty() && scan->damaged.back().end == position) {
      scan->damaged.back().end = end;
    } else {
      scan->damaged.push_back({position, end});
    }
    position = end;
  }
}

}  // namespace

Result<std::vector<SegmentScan>> scan_log(FileSystem& file_system, const std::string& folder,
                                          std::optional<std::uint64_t> bucket_identity) {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<ListedSegment> segments,
                              list_segments(file_system, folder));
  std::vector<SegmentScan> scans;
  for (const ListedSegment& segment : segments) {
    PERSISTING_ASSIGN_OR_RETURN(const std::string bytes, file_system.read_file(segment.path));
    SegmentScan scan;
    scan.path = segment.path;
    scan.name = segment.name;
    scan.bytes = bytes.size();
    scan.header = decode_segment_header(bytes);
    if (!scan.header)
      scan.damaged.push_back({0, std::min<std::size_t>(segment_header_bytes, bytes.size())});
    const std::uint64_t identity =
        bucket_identity.value_or(scan.header ? scan.header->bucket_identity : 0);
    scan.seed = frame_seed(identity, segment.name.epoch);
    if (scan.header) scan.version = scan.header->version;
    scan_frames(bytes, &scan);
    scans.push_back(std::move(scan));
  }
  return scans;
}

}  // namespace persisting::wal
