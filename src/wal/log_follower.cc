#include "wal/log_follower.h"

#include <algorithm>
#include <utility>

#include "wal/torn_end.h"

namespace persisting::wal {
namespace {

// Read at a time: little at first, because usually little is new.
constexpr std::uint64_t first_window_bytes = 64 << 10;
constexpr std::uint64_t window_bytes = 4 << 20;
// A frame that is being written is whole soon; what is not by then was left by a crash.
constexpr std::uint32_t most_futile_reads = 100;
// Between marks: what a seek may have to read once more.
constexpr std::uint64_t mark_distance = 64 << 10;

bool same_file(const ListedSegment& left, const ListedSegment& right) {
  return left.path == right.path;
}

Error gap(const ListedSegment& segment, std::uint64_t begin) {
  return wal_error(ErrorCode::kCorruption, segment.path + ": byte 32: offsets from " +
                                               std::to_string(begin) + " to " +
                                               std::to_string(segment.name.first_offset) +
                                               " are neither in the log nor in the table");
}

}  // namespace

bool LogExtent::may_exceed(const LogExtent& earlier) const {
  return has_next || last_bytes != earlier.last_bytes ||
         !std::ranges::equal(segments, earlier.segments, same_file);
}

Result<LogExtent> LogFollower::look() const {
  LogExtent extent;
  PERSISTING_ASSIGN_OR_RETURN(extent.segments, list_segments(file_system_, folder_));
  if (extent.segments.empty()) return extent;
  PERSISTING_ASSIGN_OR_RETURN(extent.last_bytes,
                              file_system_.file_size(extent.segments.back().path));
  PERSISTING_ASSIGN_OR_RETURN(extent.has_next, has_next(extent.segments.back()));
  return extent;
}

Result<LogFollower::Size> LogFollower::size() const {
  Size size;
  PERSISTING_ASSIGN_OR_RETURN(const auto segments, list_segments(file_system_, folder_));
  for (const ListedSegment& segment : segments) {
    PERSISTING_ASSIGN_OR_RETURN(const auto file, file_system_.file_state(segment.path));
    if (!file) continue;  // retired meanwhile
    const bool is_open = next_.segment != nullptr && same_file(segment, next_.segment->listed);
    ++size.segments;
    size.bytes += is_open ? std::min(next_.position, file->bytes) : file->bytes;
  }
  return size;
}

// Frames go into room, so that neither the file's size nor its time need tell of a new one.
Result<bool> LogFollower::has_next(const ListedSegment& last) const {
  if (next_.segment == nullptr || !same_file(last, next_.segment->listed) ||
      futile_reads_ >= most_futile_reads) {
    return false;
  }
  PERSISTING_ASSIGN_OR_RETURN(
      const std::string bytes,
      file_system_.read_range(last.path, next_.position, frame_header_bytes));
  return !is_room(bytes, 0);
}

void LogFollower::seek(std::uint64_t offset) {
  const auto after = std::ranges::upper_bound(marks_, offset, {}, &Place::offset);
  if (after == marks_.begin()) return restart(offset);
  next_ = *std::prev(after);
  next_offset_ = offset;
  marks_.clear();
}

void LogFollower::restart(std::uint64_t offset) {
  next_ = Place();
  next_offset_ = offset;
  marks_.clear();
}

Status LogFollower::read(const LogExtent& extent, const Wal::Replay& replay) {
  if (extent.segments.empty()) return ok_status();
  Result<std::size_t> found = find_segment(extent);
  if (!found) return as_wal_error(std::move(found).error());
  for (std::size_t i = *found;; ++i) {
    const bool is_last = i + 1 == extent.segments.size();
    std::uint64_t bytes = extent.last_bytes;
    if (!is_last) {
      const Result<std::uint64_t> size = file_system_.file_size(extent.segments[i].path);
      if (!size) return as_wal_error(size.error());
      bytes = *size;
    }
    if (Status read = read_segment(bytes, is_last, replay); !read)
      return as_wal_error(std::move(read).error());
    if (is_last) return ok_status();
    const ListedSegment& successor = extent.segments[i + 1];
    if (successor.name.first_offset > next_.offset)
      return gap(successor, std::max(next_.offset, next_offset_));
    if (successor.name.first_offset < next_.offset) {
      return wal_error(ErrorCode::kCorruption, successor.path + ": byte 32: begins at offset " +
                                                   std::to_string(successor.name.first_offset) +
                                                   ", which an earlier segment holds too");
    }
    enter(successor);
  }
}

// The segment to go on with, as an index; enters it where it is another one.
Result<std::size_t> LogFollower::find_segment(const LogExtent& extent) {
  const std::vector<ListedSegment>& segments = extent.segments;
  if (next_.segment != nullptr) {
    const auto current = std::ranges::find_if(segments, [this](const ListedSegment& each) {
      return same_file(each, next_.segment->listed);
    });
    if (current != segments.end()) return static_cast<std::size_t>(current - segments.begin());
  }
  // The segments before it hold nothing that is wanted.
  const auto after = std::ranges::upper_bound(
      segments, next_offset_, {}, [](const ListedSegment& each) { return each.name.first_offset; });
  if (after == segments.begin()) return gap(segments.front(), next_offset_);
  marks_.clear();
  enter(*std::prev(after));
  return static_cast<std::size_t>(std::prev(after) - segments.begin());
}

void LogFollower::enter(const ListedSegment& segment) {
  next_ = {std::make_shared<Open>(Open{segment, std::nullopt}), 0, segment.name.first_offset};
}

Status LogFollower::read_segment(std::uint64_t bytes, bool is_last, const Wal::Replay& replay) {
  if (!next_.segment->decoder) {
    PERSISTING_ASSIGN_OR_RETURN(const bool there, read_header(bytes, is_last));
    if (!there) return ok_status();
  }
  const std::string& path = next_.segment->listed.path;
  // The padding of the last frame need not be there.
  if (bytes + frame_alignment <= next_.position)
    return damaged(bytes, "the segment was longer before");
  std::uint64_t wanted = first_window_bytes;
  while (next_.position < bytes) {
    const std::uint64_t left = bytes - next_.position;
    const std::uint64_t asked = std::min(wanted, left);
    PERSISTING_ASSIGN_OR_RETURN(const std::string window,
                                file_system_.read_range(path, next_.position, asked));
    PERSISTING_ASSIGN_OR_RETURN(std::size_t used, deliver(window, replay));
    if (used == 0 && is_room(window, 0)) return ok_status();
    // Shorter than asked for: the room was cut off meanwhile.
    if (used == 0 && asked == left) {
      Status end = judge_end(window, is_last);
      if (end) return end;
      // He who writes into memory may have been seen at a later frame and not yet at an earlier one, which is there by now.
      PERSISTING_ASSIGN_OR_RETURN(const std::string again,
                                  file_system_.read_range(path, next_.position, asked));
      PERSISTING_ASSIGN_OR_RETURN(used, deliver(again, replay));
      if (used == 0) return end;
    }
    // Nothing: a frame that is longer.
    wanted = used > 0 ? std::min(wanted * 4, window_bytes) : wanted * 4;
  }
  return ok_status();
}

Result<bool> LogFollower::read_header(std::uint64_t bytes, bool is_last) {
  const ListedSegment& listed = next_.segment->listed;
  PERSISTING_ASSIGN_OR_RETURN(
      const std::string head,
      file_system_.read_range(listed.path, 0,
                              std::min<std::uint64_t>(bytes, segment_header_bytes)));
  if (const auto version = foreign_format_version(head)) {
    return wal_error(ErrorCode::kUnsupported,
                     listed.path + ": format version " + std::to_string(*version) +
                         "; this library reads version " + std::to_string(format_version));
  }
  const std::optional<SegmentHeader> header = decode_segment_header(head);
  if (!header) {
    if (!is_last) return damaged(0, "the header is damaged, and later segments follow");
    PERSISTING_ASSIGN_OR_RETURN(const std::string all,
                                file_system_.read_range(listed.path, 0, bytes));
    FrameDecoder decoder(frame_seed(bucket_identity_.value_or(0), listed.name.epoch));
    if (const auto damage = find_lost_header(all, decoder, listed.name.first_offset))
      return damaged(0, *damage);
    return false;
  }
  if (bucket_identity_ && header->bucket_identity != *bucket_identity_)
    return damaged(16, "the segment belongs to another bucket");
  if (header->first_offset != listed.name.first_offset || header->epoch != listed.name.epoch)
    return damaged(24, "the header does not agree with the file's name");
  next_.segment->decoder.emplace(frame_seed(header->bucket_identity, header->epoch),
                                 header->version);
  next_.position = segment_header_bytes;
  return true;
}

Result<std::size_t> LogFollower::deliver(const std::string& window, const Wal::Replay& replay) {
  FrameDecoder& decoder = *next_.segment->decoder;
  DecodedFrame frame;
  std::size_t used = 0;
  while (decoder.decode(window, used, &frame) && frame.first_offset == next_.offset) {
    if (marks_.empty() || marks_.back().segment != next_.segment ||
        next_.position - marks_.back().position >= mark_distance) {
      marks_.push_back(next_);
    }
    const std::uint64_t end = frame.first_offset + frame.count;
    if (end > next_offset_) {
      Status replayed = replay(frame.replayed());
      if (!replayed) {
        return with_context(std::move(replayed).error(), next_.segment->listed.path + ": byte " +
                                                             std::to_string(next_.position));
      }
      next_offset_ = end;
    }
    used += frame.file_bytes;
    next_.position += frame.file_bytes;
    next_.offset = end;
  }
  futile_reads_ = used > 0 ? 0 : futile_reads_ + 1;
  return used;
}

// Where no whole frame stands.
Status LogFollower::judge_end(const std::string& rest, bool is_last) {
  if (!is_last) return damaged(next_.position, "a frame is damaged, and later segments follow");
  const auto damage = find_lost_frame(rest, 0, *next_.segment->decoder, next_.offset);
  if (damage) return damaged(next_.position, *damage);
  return ok_status();
}

Error LogFollower::damaged(std::uint64_t position, const std::string& what) const {
  return wal_error(ErrorCode::kCorruption,
                   next_.segment->listed.path + ": byte " + std::to_string(position) + ": " + what +
                       "; the first offset at stake is " + std::to_string(next_.offset));
}

}  // namespace persisting::wal
