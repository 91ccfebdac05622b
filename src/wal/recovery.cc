#include "wal/recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "persisting/log.h"

#include "wal/frame.h"
#include "wal/segment_list.h"
#include "wal/torn_end.h"

namespace persisting::wal {
namespace {

// Read at a time, so that a recovery's memory is the tail's and not the log's as well.
constexpr std::uint64_t window_bytes = 1 << 20;

// The bytes of a segment from some position on.
class SegmentWindow {
 public:
  static Result<SegmentWindow> open(FileSystem& file_system, std::string path) {
    PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t file_bytes, file_system.file_size(path));
    SegmentWindow window(file_system, std::move(path), file_bytes);
    PERSISTING_RETURN_IF_ERROR(window.read(0, window_bytes));
    return window;
  }

  std::uint64_t file_bytes() const { return file_bytes_; }
  std::uint64_t begin() const { return begin_; }
  const std::string& bytes() const { return bytes_; }
  bool reaches_end() const { return begin_ + bytes_.size() >= file_bytes_; }

  // Begins at `position` from now on; where it did so before, with more bytes: the frame there is longer.
  Status advance(std::uint64_t position) {
    return read(position, position == begin_ ? 4 * bytes_.size() : window_bytes);
  }
  // Holds all from `position` on.
  Status read_rest(std::uint64_t position) { return read(position, file_bytes_); }

 private:
  SegmentWindow(FileSystem& file_system, std::string path, std::uint64_t file_bytes)
      : file_system_(&file_system), path_(std::move(path)), file_bytes_(file_bytes) {}

  Status read(std::uint64_t position, std::uint64_t bytes) {
    const std::uint64_t asked = std::min(bytes, file_bytes_ - position);
    bytes_ = std::string();  // not beside its successor
    PERSISTING_ASSIGN_OR_RETURN(bytes_, file_system_->read_range(path_, position, asked));
    begin_ = position;
    if (bytes_.size() == asked) return ok_status();
    return wal_error(ErrorCode::kIo,
                     path_ + ": ended at byte " + std::to_string(position + bytes_.size()) +
                         " while it was read; it had " + std::to_string(file_bytes_) + " bytes");
  }

  FileSystem* file_system_;
  std::string path_;
  std::uint64_t file_bytes_;
  std::uint64_t begin_ = 0;
  std::string bytes_;
};

class Recovery {
 public:
  Recovery(FileSystem& file_system, const WalOptions& options, std::uint64_t flushed_to,
           const Wal::Replay& replay)
      : file_system_(file_system), options_(options), flushed_to_(flushed_to), replay_(replay) {}

  Result<RecoveredLog> run() {
    // What was removed before a crash must not come back beside what this opening writes.
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(options_.folder));
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<ListedSegment> segments,
                                list_segments(file_system_, options_.folder));
    log_.report.next_offset = 0;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      PERSISTING_RETURN_IF_ERROR(read_segment(segments[i], i + 1 == segments.size()));
    }
    log_.report.next_offset = std::max(next_offset_, flushed_to_);
    return std::move(log_);
  }

 private:
  Status read_segment(const ListedSegment& segment, bool is_last) {
    PERSISTING_ASSIGN_OR_RETURN(SegmentWindow window,
                                SegmentWindow::open(file_system_, segment.path));
    const std::optional<SegmentHeader> header = decode_segment_header(window.bytes());
    if (const auto version = foreign_format_version(window.bytes())) {
      return wal_error(ErrorCode::kUnsupported,
                       segment.path + ": format version " + std::to_string(*version) +
                           "; this library reads version " + std::to_string(format_version));
    }
    if (!header) return handle_bad_header(segment, window, is_last);
    PERSISTING_RETURN_IF_ERROR(check_header(segment, *header));
    log_.highest_epoch = std::max(log_.highest_epoch, header->epoch);
    if (is_last && window.file_bytes() == segment_header_bytes)
      return discard(segment);  // the crash came before a first frame

    next_offset_ = header->first_offset;
    std::uint64_t position = segment_header_bytes;
    std::uint32_t last_checksum = 0;
    FrameDecoder decoder(frame_seed(header->bucket_identity, header->epoch), header->version);
    DecodedFrame frame;
    while (position < window.file_bytes()) {
      if (!decoder.decode(window.bytes(), position - window.begin(), &frame)) {
        if (window.reaches_end()) break;
        PERSISTING_RETURN_IF_ERROR(window.advance(position));
        continue;
      }
      if (frame.first_offset != next_offset_) break;
      if (frame.count > 0) {
        Status replayed = replay_(frame.replayed());
        if (!replayed)
          return with_context(std::move(replayed).error(),
                              segment.path + ": byte " + std::to_string(position));
        log_.report.replayed_records += frame.count;
        next_offset_ += frame.count;
      }
      last_checksum = frame.checksum;
      position += frame.file_bytes;
    }
    if (position < window.file_bytes()) {
      PERSISTING_RETURN_IF_ERROR(window.read_rest(position));
      if (!is_last && !is_room(window.bytes(), 0))
        return damaged(segment, position, "a frame is damaged, and later segments follow");
      if (is_last) PERSISTING_RETURN_IF_ERROR(handle_end(segment, header->version, window));
    }
    if (is_last) {
      if (position <= segment_header_bytes) return discard(segment);
      // A process that died may have left it to the kernel alone, and what follows must not outlive it.
      PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(segment.path));
    }
    log_.segments.push_back({segment.path, next_offset_, std::min(position, window.file_bytes())});
    log_.last = {header->first_offset, next_offset_, last_checksum};
    return ok_status();
  }

  Status check_header(const ListedSegment& segment, const SegmentHeader& header) {
    if (header.bucket_identity != options_.bucket_identity) {
      return wal_error(ErrorCode::kCorruption,
                       segment.path + ": byte 16: the segment belongs to another bucket");
    }
    if (header.first_offset != segment.name.first_offset || header.epoch != segment.name.epoch) {
      return wal_error(ErrorCode::kCorruption,
                       segment.path + ": byte 24: the header does not agree with the file's name");
    }
    // Where segments between were retired, and only their removal survived a power cut, the predecessor is another one.
    const bool follows =
        !log_.segments.empty() && header.predecessor.first_offset == log_.last.first_offset;
    if (follows && header.predecessor != log_.last) {
      return wal_error(
          ErrorCode::kCorruption,
          log_.segments.back().path + ": byte " + std::to_string(log_.segments.back().bytes) +
              ": the segment ends at offset " + std::to_string(log_.last.end_offset) +
              ", but its successor says " + std::to_string(header.predecessor.end_offset));
    }
    if (!log_.segments.empty() && header.first_offset < next_offset_) {
      return wal_error(ErrorCode::kCorruption, segment.path + ": byte 32: begins at offset " +
                                                   std::to_string(header.first_offset) +
                                                   ", which an earlier segment holds too");
    }
    const bool gap =
        log_.segments.empty() ? header.first_offset > 0 : header.first_offset > next_offset_;
    if (gap && header.first_offset > flushed_to_) {
      return wal_error(ErrorCode::kCorruption,
                       segment.path + ": byte 32: offsets from " +
                           std::to_string(std::max(flushed_to_, next_offset_)) + " to " +
                           std::to_string(header.first_offset) +
                           " are neither in the log nor in the table");
    }
    return ok_status();
  }

  Status handle_bad_header(const ListedSegment& segment, SegmentWindow& window, bool is_last) {
    if (!is_last) return damaged(segment, 0, "the header is damaged, and later segments follow");
    // A header that is lost does not tell its version; any frame of this log proves the same.
    FrameDecoder decoder(frame_seed(options_.bucket_identity, segment.name.epoch));
    PERSISTING_RETURN_IF_ERROR(window.read_rest(0));
    const auto damage = find_lost_header(window.bytes(), decoder, segment.name.first_offset);
    if (damage) return damaged(segment, 0, *damage);
    return discard(segment);
  }

  // A last segment that acknowledged nothing.
  Status discard(const ListedSegment& segment) {
    // Its predecessor was made durable before it was begun: what lies between was there.
    if (segment.name.first_offset > std::max(next_offset_, flushed_to_)) {
      return damaged(segment, 0,
                     "the segment was begun at offset " +
                         std::to_string(segment.name.first_offset) +
                         ", but what came before it is not there");
    }
    log_.highest_epoch = std::max(log_.highest_epoch, segment.name.epoch);
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(segment.path));
    return file_system_.sync_folder(options_.folder);
  }

  // Decides between a torn end, which is cut off, and damage to something durable. `rest`: from the first byte of no whole
  // frame on.
  Status handle_end(const ListedSegment& segment, std::uint32_t version,
                    const SegmentWindow& rest) {
    const std::uint64_t position = rest.begin();
    const bool only_room = is_room(rest.bytes(), 0);
    if (!only_room) {
      FrameDecoder decoder(frame_seed(options_.bucket_identity, segment.name.epoch), version);
      const auto damage = find_lost_frame(rest.bytes(), 0, decoder, next_offset_);
      if (damage) return damaged(segment, position, *damage);
    }
    PERSISTING_ASSIGN_OR_RETURN(const auto file, file_system_.open_append(segment.path));
    PERSISTING_RETURN_IF_ERROR(file->truncate(position));
    if (only_room) return ok_status();
    log_.report.truncated_bytes = rest.bytes().find_last_not_of('\0') + 1;
    log_.report.truncated_file = segment.path;
    log(LogLevel::kWarning,
        segment.path + ": cut off " + std::to_string(log_.report.truncated_bytes) +
            " bytes of a write that never finished, from byte " + std::to_string(position) +
            "; the log goes on at offset " + std::to_string(next_offset_));
    return ok_status();
  }

  Status damaged(const ListedSegment& segment, std::uint64_t position,
                 const std::string& what) const {
    return wal_error(ErrorCode::kCorruption, segment.path + ": byte " + std::to_string(position) +
                                                 ": " + what + "; the first offset at stake is " +
                                                 std::to_string(next_offset_));
  }

  FileSystem& file_system_;
  const WalOptions& options_;
  const std::uint64_t flushed_to_;
  const Wal::Replay& replay_;
  std::uint64_t next_offset_ = 0;
  RecoveredLog log_;
};

}  // namespace

Result<RecoveredLog> recover_log(FileSystem& file_system, const WalOptions& options,
                                 std::uint64_t flushed_to, const Wal::Replay& replay) {
  Result<RecoveredLog> log = Recovery(file_system, options, flushed_to, replay).run();
  if (!log) return as_wal_error(std::move(log).error());
  return log;
}

}  // namespace persisting::wal
