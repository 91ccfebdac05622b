// Appends frames to the log's active segment and opens the next one.
// Guarantee: once sync() succeeds, every earlier append survives power loss, in append order, segments included.
// Room:      small appends go into zeros that were written ahead: behind them the end of the log reads as zeros, which
//            recovery takes for the end. A closed segment is cut to its length; a crash may keep it from that.
// Failure:   after a failed append or sync nothing more may be written; the caller poisons the log. A failed append
//            is cut off again where that is possible, so that no half frame stays behind.
// Threads:   one writer at a time; sync(), and what more_room() returned, may run beside append().
// Elsewhere: who is the writer, and when to sync, in wal.cc.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "wal/frame.h"
#include "wal/recovery.h"

namespace persisting::wal {

class SegmentWriter {
 public:
  SegmentWriter(FileSystem& file_system, const WalOptions& options, std::uint64_t epoch,
                RecoveredLog recovered);

  // Writes frames that begin at `first_offset` and end before `end_offset`, in a new segment where the active one is full.
  Status append(const std::vector<EncodedFrame>& frames, std::uint64_t first_offset,
                std::uint64_t end_offset);

  // Whether append_in_room() can take a frame of that size.
  bool has_room(std::uint64_t frame_bytes) const;
  // append() of one frame, that writes into memory and cannot fail.
  void append_in_room(const SingleRecordFrame& frame, std::uint64_t end_offset);
  // What makes room for frames to come; null where there is enough, or where it is made on the way.
  std::function<void()> more_room();

  // Makes everything appended so far durable, the folder's entries included. Fails for ever once it has failed.
  Status sync();
  std::optional<Error> sync_failure();

  // Cuts off what the last append() wrote, where that is possible: its sync failed, and a kernel that has once reported
  // so may take the bytes for written, so that not even recovery could make them durable.
  void take_back();

  // Removes segments that end at or below `flushed_to`, oldest first; the active one too where it is flushed.
  Status retire(std::uint64_t flushed_to);

  // Marks the end as clean, syncs and closes the active segment.
  Status finish();

  std::uint64_t size_bytes() const { return options_.metrics->size_bytes.value(); }

 private:
  // What a sync needs; shared so that a segment can be closed while its sync runs.
  struct Active {
    std::unique_ptr<WritableFile> file;
    std::string path;
    std::uint64_t first_offset = 0;
    std::uint64_t end_offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_before_append = 0;
    bool has_frames = false;
    std::atomic<bool> is_unsynced{false};
  };

  Status open_segment(std::uint64_t first_offset);
  Status write(const std::vector<EncodedFrame>& frames);
  void make_room(std::uint64_t round_bytes);
  void note_append(std::uint64_t bytes);
  Status cut_room();
  void add_bytes(std::int64_t bytes);
  void seal_active();
  void close_active();
  Status sync_once();

  FileSystem& file_system_;
  const WalOptions& options_;
  const std::uint64_t epoch_;

  // Touched by the writer only.
  std::shared_ptr<Active> active_;
  std::deque<SealedSegment> sealed_;
  SegmentEnd last_;  // of the newest segment that has frames
  std::uint64_t average_round_bytes_ = 0;
  std::vector<std::string_view> pieces_;  // kept for its memory

  // Held through a sync: the next one must not return before an earlier one has done its part.
  std::mutex syncing_;
  std::optional<Error> sync_failure_;  // under syncing_; a failed sync is never tried again

  std::mutex unsynced_mutex_;
  // Under unsynced_mutex_: what the next sync has to cover.
  std::shared_ptr<Active> unsynced_;  // the active segment: those before were synced at their end
  bool folder_unsynced_ = false;
};

}  // namespace persisting::wal
