// One bucket: an append-only sequence of records, composed of a tail in memory and, as its options say, a write-ahead
// log and a table.
//
//   put ── admit to schema ── tail ── log ── acknowledge          flush: log synced → table → checkpoint → log retired
//   get ── tail, else table
//
// Invariant:   retired ≤ flushed ≤ durable ≤ visible ≤ appended, as offsets. (Without sync on every commit the log may
//              acknowledge ahead of durable; a flush syncs it first.)
// Guarantee:   a record is visible to readers once it is acknowledged, and not before. With a log that syncs every
//              commit, acknowledged means durable.
// Failure:     a failed log poisons the engine: every later put fails with the log's error. A failed flush leaves
//              everything where it was, is reported by stats() and to whoever waits for it, and is tried again with
//              growing pauses.
// Concurrency: thread-safe. mutex_ guards all that is below it; no I/O and no callback under it. At most one flush runs.
//              Lock order: mutex_, then the log's own. In a forked child every call fails with kClosed.
// Elsewhere:   opening in bucket_recovery.cc; the order of a flush's steps in bucket_table.h; sharing of an engine within a process in engine_registry.h.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "persisting/storage_backend.h"

#include "base/executor.h"
#include "base/file_system.h"
#include "engine/bucket_identity.h"
#include "engine/bucket_table.h"
#include "engine/engine_options.h"
#include "engine/subscribers.h"
#include "schema/schema.h"
#include "tail/tail.h"
#include "wal/wal.h"

namespace persisting {

class BucketEngine : public std::enable_shared_from_this<BucketEngine> {
 public:
  // Opens or makes the bucket; recovers what a crash left.
  static Result<std::shared_ptr<BucketEngine>> open(EngineOptions options,
                                                    EngineEnvironment environment);
  ~BucketEngine();

  Result<std::uint64_t> put_batch(RecordBatch batch);
  void put_batch_async(RecordBatch batch, PutCallback done);
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset);
  void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done);
  void flush_async(StatusCallback done);
  Status flush();
  Result<BackendStats> stats();
  std::uint64_t total_count() const { return visible_end_.load(std::memory_order_acquire); }
  std::unique_ptr<Subscription> subscribe(std::function<void()> listener);

  // Ends the engine without flushing: commits and closes the log, fails what waits, wakes subscribers, lets go of the
  // table and the lock file. Reads that are under way keep their snapshot. May block; idempotent.
  Status shut_down();

  const EngineOptions& options() const { return options_; }
  // What opening found in the log.
  const WalRecovery& recovery() const { return recovery_; }

 private:
  struct PendingPut {
    std::uint64_t first_offset;
    std::uint64_t end_offset;
    SchemaPtr schema;  // with these records
    PutCallback done;
  };
  struct StalledPut {
    RecordBatch batch;
    PutCallback done;
  };
  struct FlushWaiter {
    std::uint64_t target;
    StatusCallback done;
  };
  struct ReadPlan;
  struct FlushPlan;
  // Callbacks gathered under mutex_ and run after it.
  using Callbacks = std::vector<std::function<void()>>;

  BucketEngine(EngineOptions options, EngineEnvironment environment);

  Status recover();
  Status check_storage() const;
  Status load(std::uint64_t identity, NewerVersions newer);
  Status open_log(std::uint64_t identity);
  bool table_agrees_with_log() const;
  Status drain_log();
  Status replay(const ReplayedFrame& frame);

  std::optional<std::uint64_t> submit(RecordBatch batch, PutCallback done);
  std::optional<std::uint64_t> submit_locked(RecordBatch batch, PutCallback done, Callbacks* after);
  Result<SchemaPtr> admit_locked(const RecordBatch& batch, std::uint64_t first_offset) const;
  bool must_stall_locked(const RecordBatch& batch) const;
  void on_committed(std::uint64_t end_offset, const Status& status);
  void fail_puts_locked(const Error& error, Callbacks* after);
  std::optional<Error> refusal_locked() const;

  Result<ReadPlan> plan_read(std::uint64_t limit, std::uint64_t offset);
  static Result<RecordBatch> run_read(const ReadPlan& plan);

  bool wants_flush_locked() const;
  void schedule_flush_locked();
  void arm_flush_timer_locked();
  void retry_flush_later_locked();
  void run_flush();
  FlushPlan plan_flush_locked();
  Status execute_flush(const FlushPlan& plan);
  bool finish_flush_locked(const FlushPlan& plan, const Status& status, Callbacks* after);

  const EngineOptions options_;
  const EngineEnvironment environment_;
  const std::uint64_t fork_generation_;

  // Set by open(), then constant.
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Wal> wal_;
  WalRecovery recovery_;
  std::optional<std::uint64_t> replayed_from_;  // the first offset in the log
  // Records of the log that a version newer than the checkpoint claims to hold; only while opening.
  RecordBatch claimed_;
  // Touched by open(), then only by the running flush.
  std::unique_ptr<BucketTable> table_;

  // Self-synchronised.
  Subscribers subscribers_;
  std::atomic<std::uint64_t> visible_end_{0};  // written under mutex_

  mutable std::mutex mutex_;
  std::condition_variable flush_ended_;
  // Under mutex_.
  SchemaPtr schema_ = std::make_shared<const Schema>();  // of everything appended
  SchemaPtr visible_schema_ = schema_;                   // of everything visible
  Tail tail_{0};
  std::uint64_t flushed_to_ = 0;
  std::shared_ptr<const TableSnapshot> snapshot_;  // holds every record below flushed_to_
  std::uint64_t unflushed_bytes_ = 0;
  std::deque<PendingPut> pending_;
  std::deque<StalledPut> stalled_;
  std::vector<FlushWaiter> flush_waiters_;
  bool flush_scheduled_ = false;
  bool flush_running_ = false;
  bool flush_timer_armed_ = false;
  bool flush_retry_armed_ = false;
  std::uint32_t flush_failures_in_a_row_ = 0;
  std::optional<Error> flush_error_;  // of the last flush
  std::optional<Error> failure_;      // the log's; sticks
  bool closing_ = false;
  EngineCounters counters_;
};

}  // namespace persisting
