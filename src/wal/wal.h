// The write-ahead log of one bucket: makes records durable in offset order, in groups.
//
// Operation:   enqueue() hands over frames in offset order; a commit round writes every frame that waits with one
//              write and, with sync_interval 0, one fdatasync. One thread leads a round at a time; what
//              arrives meanwhile goes with the next round. The listener learns of each round before any waiter returns.
// Guarantee:   sync_interval 0: committed means durable. > 0: committed means that the kernel has the bytes, and they
//              are durable at most that long after. Recovery returns a prefix of what was enqueued, with all that was
//              durable.
// Failure:     the first failed write or sync poisons the log: that round and every later one fail with the same
//              error; only opening the bucket again recovers. Errors carry component kWal, file and byte.
// Concurrency: thread-safe, except that enqueue() calls must come one at a time and in offset order (the caller's
//              lock). Lock order: the caller's lock, then the log's. No I/O under the log's queue lock.
// Elsewhere:   byte layout in wal_format.h, one segment in segment_writer.h, opening in recovery.h.
// Limits:      a frame holds at most max_frame_bytes; the caller splits or refuses larger batches.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "persisting/result.h"

#include "base/executor.h"
#include "base/file_system.h"
#include "wal/wal_metrics.h"

namespace persisting {

enum class Compression : std::uint8_t { kNone = 0, kZstd = 1, kLz4 = 2, kSnappy = 3 };

struct WalOptions {
  std::string folder;  // created where it is not there
  std::uint64_t bucket_identity =
      0;  // of the bucket's identity file; a segment of another is refused
  std::uint64_t minimum_epoch = 0;  // the checkpoint's; the log opens with a higher one
  std::chrono::microseconds sync_interval{0};
  std::uint64_t segment_bytes =
      64ULL << 20;  // a segment that has grown beyond is closed before the next round
  Compression compression = Compression::kNone;
  std::shared_ptr<WalMetrics> metrics = std::make_shared<WalMetrics>();
};

// How a frame holds its records. The log looks into neither.
enum class FrameContent : std::uint8_t {
  kRecords,  // encoded records, with the length of each
  kArrow,    // one Arrow IPC stream with as many rows
};

// One frame on its way into the log. `records` must stay valid and unchanged until the listener has been told of its
// end (or of a failure): they are not copied.
struct WalFrame {
  WalFrame() = default;
  // Encoded records, one behind the other.
  WalFrame(std::uint64_t first, std::int64_t time_us, std::span<const std::uint32_t> lengths,
           std::string_view encoded)
      : first_offset(first),
        timestamp_us(time_us),
        count(static_cast<std::uint32_t>(lengths.size())),
        record_bytes(lengths),
        records(encoded) {}
  // An Arrow IPC stream with `rows` rows.
  static WalFrame arrow(std::uint64_t first, std::int64_t time_us, std::uint32_t rows,
                        std::string_view stream) {
    WalFrame frame(first, time_us, {}, stream);
    frame.content = FrameContent::kArrow;
    frame.count = rows;
    return frame;
  }

  std::uint64_t first_offset = 0;
  std::int64_t timestamp_us = 0;  // append time of its records, UTC
  FrameContent content = FrameContent::kRecords;
  std::uint32_t count = 0;                      // of records; at least one
  std::span<const std::uint32_t> record_bytes;  // kRecords: length of each; copied
  std::string_view records;                     // kArrow: the stream
};

// One frame as recovery found it; the members are those of a WalFrame. Valid during the call.
struct ReplayedFrame {
  std::uint64_t first_offset;
  std::int64_t timestamp_us;
  FrameContent content;
  std::uint32_t count;
  std::span<const std::uint32_t> record_bytes;
  std::string_view records;
};

struct WalRecovery {
  std::uint64_t next_offset = 0;       // that the next frame gets
  std::uint64_t replayed_records = 0;  // delivered to the callback
  std::uint64_t truncated_bytes = 0;   // of a torn tail
  std::string truncated_file;          // empty: the log ended cleanly
};

class Wal {
 public:
  static constexpr std::uint64_t max_frame_bytes = 1ULL << 30;
  // What is mapped of one: a process may be allowed far less address space than disk.
  static constexpr std::uint64_t max_segment_bytes = 16ULL << 30;

  // Told after each round, one call at a time: everything below `end_offset` is committed, or the log has failed.
  // Called without any lock of the log that its calls take; it must not block on the log. After a failure has been told
  // nothing else is, and after close() nothing at all.
  using Listener = std::function<void(std::uint64_t end_offset, const Status& status)>;
  using Replay = std::function<Status(const ReplayedFrame&)>;

  // Reads what is in the folder: every frame goes to `replay` in offset order (also those below `flushed_to`: the
  // caller skips them), a torn tail is cut off durably, damage before the end of what was durable is kCorruption.
  // Records missing above `flushed_to` are kCorruption.
  static Result<std::unique_ptr<Wal>> open(FileSystem& file_system, Executor& executor,
                                           WalOptions options, std::uint64_t flushed_to,
                                           const Replay& replay, Listener listener,
                                           WalRecovery* recovery);

  virtual ~Wal() = default;

  // Queues one frame. Does no I/O. After a failure it does nothing: the listener has been told.
  virtual void enqueue(const WalFrame& frame) = 0;

  // Returns once everything enqueued below `end_offset` is committed, or with the log's failure. Leads rounds
  // in the caller's thread where nobody else does.
  virtual Status commit(std::uint64_t end_offset) = 0;

  // Commits one record at once, where that is a copy into the kernel's memory: with sync_interval > 0, no compression, room
  // in the segment, and nobody else at it. False: nothing has happened, enqueue() it. The listener is not told.
  virtual bool try_commit(std::uint64_t offset, std::int64_t timestamp_us,
                          std::string_view record) = 0;

  // The same for callers that must not block: a round runs on the executor. With sync_interval > 0 and little
  // waiting, it runs here: that is one write into the page cache.
  virtual void commit_in_background() = 0;

  // Returns once everything enqueued so far is durable whatever the sync_interval. Writers go on meanwhile.
  virtual Status sync() = 0;

  // Removes segments that hold nothing at or above `flushed_to`; a fully flushed active one is closed first.
  virtual Status retire(std::uint64_t flushed_to) = 0;

  // Commits and syncs what waits, marks the end as clean, and closes. Idempotent. Later calls fail with kClosed.
  virtual Status close() = 0;

  virtual std::uint64_t epoch() const = 0;
  virtual std::uint64_t size_bytes() const = 0;  // of all segments
};

}  // namespace persisting
