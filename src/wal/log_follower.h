// Reads a log that another process may be writing, and keeps up with it.
// Operation: look() takes down how far the log reaches; read() delivers the frames up to there that were not delivered yet.
//            Between the two the caller reads the checkpoint and, where that is a new one, calls seek(): so every frame that
//            is delivered was written before that checkpoint was read.
// Guarantee: frames come whole, once, in offset order and without gaps, from the offset of the last seek() on. A frame at
//            the end that is not whole yet is left for a later read. Changes nothing.
// Failure:   kCorruption, with file and byte, where something durable is not what was written. But any error may only mean
//            that the writer has moved on (a segment was removed): it is real if it comes again after restart(), with the
//            checkpoint as it was.
// Memory:    one window of a segment, or the largest frame.
// Threads:   thread-compatible.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/frame.h"
#include "wal/segment_list.h"
#include "wal/wal.h"
#include "wal/wal_format.h"

namespace persisting::wal {

// How far a log reached at one moment.
struct LogExtent {
  std::vector<ListedSegment> segments;  // oldest first
  std::uint64_t last_bytes = 0;         // of the newest one, with its room; the others are complete
  bool has_next = false;                // a frame seems to stand where the follower is

  // Whether it may hold more than `earlier`, up to which the follower has read.
  bool may_exceed(const LogExtent& earlier) const;
};

class LogFollower {
 public:
  // `bucket_identity`: whose segments alone are accepted; nothing: each is taken at its word.
  LogFollower(FileSystem& file_system, std::string folder,
              std::optional<std::uint64_t> bucket_identity)
      : file_system_(file_system), folder_(std::move(folder)), bucket_identity_(bucket_identity) {}

  Result<LogExtent> look() const;

  // The next read() begins with the frame that holds `offset`.
  void seek(std::uint64_t offset);
  // The same, forgetting where frames were.
  void restart(std::uint64_t offset);

  Status read(const LogExtent& extent, const Wal::Replay& replay);

  // The segments that are there now, and their bytes without the room behind the newest one's frames that were read.
  struct Size {
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;
  };
  Result<Size> size() const;

 private:
  // The segment that is being read.
  struct Open {
    ListedSegment listed;
    std::optional<FrameDecoder> decoder;  // once the header was there
  };
  // Where a frame stands.
  struct Place {
    std::shared_ptr<Open> segment;
    std::uint64_t position = 0;  // in the segment
    std::uint64_t offset = 0;    // of the first record there
  };

  Result<std::size_t> find_segment(const LogExtent& extent);
  void enter(const ListedSegment& segment);
  Status read_segment(std::uint64_t bytes, bool is_last, const Wal::Replay& replay);
  // False: it is not there yet.
  Result<bool> read_header(std::uint64_t bytes, bool is_last);
  // Delivers the whole frames at the beginning of `window`; how many of its bytes they take.
  Result<std::size_t> deliver(const std::string& window, const Wal::Replay& replay);
  Status judge_end(const std::string& rest, bool is_last);
  Result<bool> has_next(const ListedSegment& last) const;
  Error damaged(std::uint64_t position, const std::string& what) const;

  FileSystem& file_system_;
  const std::string folder_;
  const std::optional<std::uint64_t> bucket_identity_;

  Place next_;                      // without a segment: to be looked for
  std::uint64_t next_offset_ = 0;   // that was not delivered yet
  std::deque<Place> marks_;         // of some frames, in order, for seek()
  std::uint32_t futile_reads_ = 0;  // one after the other that found something, but no whole frame
};

}  // namespace persisting::wal
