// Fuzz target: recovery over a log of one or two segments.
// Properties: an error is one of the log's, and leaves every file as it was; what is delivered has
//             consecutive offsets; a second recovery delivers the same and changes nothing; the log
//             can be written on, and a third recovery then delivers all of that.
#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/log.h"

#include "fuzz/checksums.h"
#include "fuzz/input.h"
#include "fuzz/layout.h"
#include "support/power_cut_file_system.h"
#include "wal/frame.h"
#include "wal/recovery.h"
#include "wal/segment_writer.h"

namespace persisting::fuzz {
namespace {

using testing::PowerCutFileSystem;
using wal::RecoveredLog;

constexpr std::string_view folder = "/bucket/wal";

struct Delivered {
  std::uint64_t first_offset;
  std::int64_t timestamp_us;
  FrameContent content;
  std::uint32_t count;
  std::vector<std::uint32_t> record_bytes;
  std::string records;
  bool operator==(const Delivered&) const = default;
};

WalOptions options() {
  WalOptions options;
  options.folder = folder;
  options.bucket_identity = fuzz::bucket_identity;
  return options;
}

// The name its header asks for, whatever else is wrong with it.
wal::SegmentName name_of(const std::string& segment) {
  if (segment.size() < 40) return {};
  return {load_little_endian<std::uint64_t>(segment.data() + 32),
          load_little_endian<std::uint64_t>(segment.data() + 24)};
}

// Where recovery finds the segment to end.
wal::SegmentEnd end_of(const std::string& segment) {
  const auto [first_offset, epoch] = name_of(segment);
  wal::SegmentEnd end{first_offset, first_offset, 0};
  const auto header = wal::decode_segment_header(segment);
  wal::FrameDecoder decoder(wal::frame_seed(fuzz::bucket_identity, epoch),
                            header ? header->version : wal::format_version);
  wal::DecodedFrame frame;
  std::size_t position = wal::segment_header_bytes;
  while (decoder.decode(segment, position, &frame) && frame.first_offset == end.end_offset) {
    end.end_offset += frame.count;
    end.last_checksum = frame.checksum;
    position += frame.file_bytes;
  }
  return end;
}

// Puts checksums right as `choices` ask for, that of the predecessor's last frame in the
// successor's header included.
void fix_segments(std::uint8_t choices, std::string* first, std::string* second) {
  for (std::string* segment : {first, second}) {
    if ((choices & LogChoices::fix_frames) == 0) break;
    const std::uint64_t epoch = name_of(*segment).epoch;
    fix_frames(*segment, wal::segment_header_bytes, wal::frame_seed(fuzz::bucket_identity, epoch));
  }
  if ((choices & LogChoices::fix_headers) == 0) return;
  fix_segment_header(*first);
  if (second->size() < wal::segment_header_bytes) return;
  store_little_endian(*second, 56, end_of(*first).last_checksum);
  fix_segment_header(*second);
}

Result<RecoveredLog> recover(PowerCutFileSystem& file_system, std::uint64_t flushed_to,
                             std::vector<Delivered>* delivered) {
  delivered->clear();
  return wal::recover_log(file_system, options(), flushed_to, [&](const ReplayedFrame& frame) {
    delivered->push_back({frame.first_offset,
                          frame.timestamp_us,
                          frame.content,
                          frame.count,
                          {frame.record_bytes.begin(), frame.record_bytes.end()},
                          std::string(frame.records)});
    return ok_status();
  });
}

void check_delivered(const std::vector<Delivered>& delivered, std::uint64_t flushed_to,
                     const WalRecovery& report) {
  std::uint64_t next = 0;
  std::uint64_t records = 0;
  for (const Delivered& frame : delivered) {
    require(frame.first_offset == next ||
                (frame.first_offset > next && frame.first_offset <= flushed_to),
            "offsets are consecutive, but for what the table holds");
    if (frame.content == FrameContent::kArrow) {
      require(frame.record_bytes.empty() && frame.count > 0, "an Arrow frame has rows, no lengths");
    } else {
      const std::uint64_t bytes =
          std::accumulate(frame.record_bytes.begin(), frame.record_bytes.end(), std::uint64_t{0});
      require(bytes == frame.records.size() && frame.count == frame.record_bytes.size(),
              "a frame's records are as long as it says");
    }
    records += frame.count;
    next = frame.first_offset + frame.count;
  }
  require(report.replayed_records == records, "the report counts what was delivered");
  require(report.next_offset >= next && report.next_offset >= flushed_to,
          "the log goes on behind what it and the table hold");
}

void check_sizes(PowerCutFileSystem& file_system, const RecoveredLog& log) {
  const std::map<std::string, std::string> files = file_system.files();
  require(files.size() == log.segments.size(), "every file is a segment of the log");
  for (const wal::SealedSegment& segment : log.segments) {
    const auto file = files.find(segment.path);
    require(file != files.end() && file->second.size() >= segment.bytes,
            "a segment is as long as recovery says");
    require(file->second.find_first_not_of('\0', segment.bytes) == std::string::npos,
            "only room stands behind a segment");
  }
}

// Files without the zeros at their ends. A crash may have kept the room behind a closed segment from being cut off; that is
// done where it is the last one, and that it may become by the first recovery.
std::map<std::string, std::string> without_room(std::map<std::string, std::string> files) {
  for (auto& [path, contents] : files) contents.resize(contents.find_last_not_of('\0') + 1);
  return files;
}

// Each segment ends as its successor remembers, where that has not been retired.
void check_links(PowerCutFileSystem& file_system, const RecoveredLog& log) {
  const std::map<std::string, std::string> files = file_system.files();
  for (std::size_t i = 1; i < log.segments.size(); ++i) {
    const wal::SegmentEnd before = end_of(files.at(log.segments[i - 1].path));
    const auto header = wal::decode_segment_header(files.at(log.segments[i].path));
    require(header.has_value(), "a segment of the log has a header");
    require(
        header->predecessor.first_offset != before.first_offset || header->predecessor == before,
        "a segment ends as its successor says");
  }
}

// Writes one more frame as the next opening would, and reads everything again.
void check_goes_on(PowerCutFileSystem& file_system, std::uint64_t flushed_to,
                   const RecoveredLog& log, std::vector<Delivered> expected) {
  const std::uint64_t epoch = log.highest_epoch + 1;
  if (epoch == 0) return;  // no log comes to so many openings
  const std::uint64_t next = log.report.next_offset;
  const WalOptions opened = options();
  wal::SegmentWriter writer(file_system, opened, epoch, log);
  const std::array lengths{3U};
  const Status appended =
      writer.append({wal::encode_frame({next, 7, lengths, "new"}, next, Compression::kNone,
                                       wal::frame_seed(fuzz::bucket_identity, epoch))},
                    next, next + 1);
  require(appended.ok() && writer.finish().ok(), "a recovered log takes records");
  expected.push_back({next, 7, FrameContent::kRecords, 1, {3}, "new"});

  std::vector<Delivered> delivered;
  const Result<RecoveredLog> again = recover(file_system, flushed_to, &delivered);
  require(again.ok(), "a recovered log that was written on is sound");
  require(delivered == expected, "it holds what it held and what was added");
  require(again->report.truncated_bytes == 0, "a closed log has no torn end");
}

void check_log(PowerCutFileSystem& file_system, std::uint64_t flushed_to) {
  const std::map<std::string, std::string> before = file_system.files();
  std::vector<Delivered> delivered;
  const Result<RecoveredLog> log = recover(file_system, flushed_to, &delivered);
  if (!log) {
    require(
        log.error().code == ErrorCode::kCorruption || log.error().code == ErrorCode::kUnsupported,
        "a log is damaged or of another version, nothing else");
    require(log.error().component == Component::kWal, "an error of the log says so");
    require(file_system.files() == before, "what is refused is not touched");
    return;
  }
  check_delivered(delivered, flushed_to, log->report);
  check_sizes(file_system, *log);
  check_links(file_system, *log);

  const std::map<std::string, std::string> after = file_system.files();
  std::vector<Delivered> delivered_again;
  const Result<RecoveredLog> again = recover(file_system, flushed_to, &delivered_again);
  require(again.ok(), "a recovered log is sound");
  require(delivered_again == delivered, "a second recovery delivers the same");
  require(again->report.next_offset == log->report.next_offset,
          "a second recovery ends where the first did");
  require(again->report.truncated_bytes == 0, "a second recovery cuts nothing off");
  // No log that was written so has a segment without frames before another one. Once the other is
  // gone, it goes too.
  const bool ends_empty =
      !log->segments.empty() && log->segments.back().bytes <= wal::segment_header_bytes;
  require(ends_empty || (again->last == log->last &&
                         without_room(file_system.files()) == without_room(after)),
          "a second recovery changes nothing");
  check_goes_on(file_system, flushed_to, *again, std::move(delivered));
}

}  // namespace
}  // namespace persisting::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace persisting;
  using namespace persisting::fuzz;
  static const bool silenced = (set_log_sink({}), true);  // of each torn end recovery warns
  (void)silenced;
  Input input(data, size);
  const auto choices = input.number<std::uint8_t>();
  const auto flushed_to = input.number<std::uint16_t>();
  const auto first_bytes = input.number<std::uint16_t>();
  std::string first(input.take(first_bytes));
  std::string second(input.rest());
  fix_segments(choices, &first, &second);

  testing::PowerCutFileSystem file_system;
  const auto add = [&](const std::string& segment, bool is_last) {
    wal::SegmentName name = name_of(segment);
    if (is_last && (choices & LogChoices::misname_last) != 0) ++name.epoch;
    const std::string path =
        std::string(folder) + "/" + wal::segment_name(name.first_offset, name.epoch);
    file_system.set_file(path, segment);
  };
  add(first, second.empty());
  if (!second.empty()) add(second, true);
  check_log(file_system, flushed_to);
  return 0;
}
