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
// Concurrency: thread-safe. mutex_ guards all that is below it; no I/O and no callback under it. At most one flush, change or
//              compaction of the table runs.
//              Lock order: mutex_, then the log's own. In a forked child every call fails with kClosed.
// Elsewhere:   opening in bucket_recovery.cc; puts in bucket_put.cc; the order of a flush's steps in bucket_table.h; explicit
//              changes of the schema in bucket_schema.cc; compaction in bucket_compaction.cc and, in the background,
//              bucket_maintenance.cc; Arrow in and out in bucket_arrow.cc; what is
//              counted and told in bucket_metering.cc; sharing of an engine within a process in engine_registry.h.
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

#include "persisting/log.h"
#include "persisting/storage_backend.h"

#include "base/clocks.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "engine/bucket_identity.h"
#include "engine/bucket_table.h"
#include "engine/engine_options.h"
#include "engine/read_plan.h"
#include "engine/subscribers.h"
#include "metrics/metrics_registry.h"
#include "schema/admission.h"
#include "schema/arrow_rows.h"
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
  // Puts one encoded record, as StorageBackend::try_put.
  std::optional<std::uint64_t> try_put(std::string_view record);
  // Else a put waits for the disk, or makes a frame whose size is not known before.
  bool can_put_at_once() const {
    return !options_.has_wal ||
           (options_.wal_sync_interval.count() > 0 && options_.compression == Compression::kNone);
  }
  // Both Arrow structs are taken over.
  Result<std::uint64_t> put_arrow(ArrowSchema* schema, ArrowArray* rows);
  void put_arrow_async(ArrowSchema* schema, ArrowArray* rows, PutCallback done);
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset);
  void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done);
  Result<RecordPagePtr> read(std::uint64_t limit, std::uint64_t offset);
  void read_async(std::uint64_t limit, std::uint64_t offset, ReadCallback done);
  Result<ArrowStreamPtr> get_arrow(std::uint64_t limit, std::uint64_t offset);
  void get_arrow_async(std::uint64_t limit, std::uint64_t offset, GetArrowCallback done);
  // The dead letters too.
  void flush_async(StatusCallback done);
  Status flush();
  // Merges the table's small fragments and removes its old versions, once what was acknowledged is flushed. Dead letters first.
  void compact_async(CompactionOptions options, CompactionCallback done);
  // Of the table in the background. The dead letters' too. kUnsupported without a table.
  Status pause_maintenance();
  Status resume_maintenance();
  Result<BackendStats> stats();
  // Exported or not.
  Result<std::vector<MetricFamily>> get_metrics() const;
  std::uint64_t total_count() const { return visible_end_.load(std::memory_order_acquire); }
  std::unique_ptr<Subscription> subscribe(std::function<void()> listener);

  // Explicit changes of the schema. Puts wait meanwhile: what was put before is flushed first, so that no record of the
  // old form is left in the tail or the log.
  void drop_field_async(std::string name, StatusCallback done);
  void rename_field_async(std::string from, std::string to, StatusCallback done);
  // Of what is readable.
  Result<SchemaPtr> schema() const;
  // Records that the policy kept aside; see dead_letters.h. Null: there are none.
  const std::shared_ptr<BucketEngine>& dead_letters() const { return dead_letters_; }

  // Nobody but get_metrics() sees its metrics any more. shut_down() does it too.
  void end_metering() const;

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
    std::uint64_t bytes;
    std::uint64_t begun_ns;
    PutCallback done;
  };
  // Records on their way in, in one of two forms.
  struct Incoming {
    RecordBatch records;
    std::shared_ptr<const std::string> encoded_rows;  // an IPC stream; null: records
    std::shared_ptr<const ArrowRows> rows;
    std::shared_ptr<const Schema> row_fields;
    std::uint64_t begun_ns = 0;  // monotonic; 0: not measured

    std::size_t byte_size() const {
      return encoded_rows != nullptr ? encoded_rows->size() : records.byte_size();
    }
    std::size_t size() const { return rows != nullptr ? rows->size() : records.size(); }
  };
  struct StalledPut {
    Incoming incoming;
    PutCallback done;
  };
  // A change of the schema that waits for everything before it to be in the table.
  struct Alteration {
    std::function<Result<SchemaPtr>(const SchemaPtr&, std::uint64_t offset)> change;
    ColumnChange columns;
    StatusCallback done;
  };
  struct FlushWaiter {
    std::uint64_t target;
    StatusCallback done;
  };
  // A compaction that waits for the records before it to be in the table.
  struct PendingCompaction {
    std::uint64_t target;
    CompactionOptions options;
    CompactionCallback done;
  };
  // The maintenance: what it is at. kDue and kWritten wait for their turn at the table, which run_flush() gives.
  struct Maintenance {
    enum class Phase : std::uint8_t { kIdle, kDue, kSubmitted, kWriting, kWritten, kResting };
    Phase phase = Phase::kIdle;
    bool is_paused = false;
    std::unique_ptr<TableMerge> merge;  // from kSubmitted to kWritten
    std::uint64_t merge_begun_ns = 0;
    std::uint64_t files_before = 0;              // of the table, when the merge was begun
    std::optional<std::uint64_t> settled_files;  // of the table, when there was nothing to merge
    std::uint64_t versions_after = 0;            // of the table, when old ones were last removed
    std::uint32_t failures_in_a_row = 0;
    std::optional<Error> error;  // of the last step
  };
  struct FlushPlan;
  // Callbacks gathered under mutex_ and run after it.
  using Callbacks = std::vector<std::function<void()>>;

  BucketEngine(EngineOptions options, EngineEnvironment environment);

  Status recover();
  Status check_storage() const;
  Status load(std::uint64_t identity, NewerVersions newer);
  Status open_log(std::uint64_t identity);
  bool table_agrees_with_log() const;
  Status flush_while_opening();
  Status drain_log();
  Status open_dead_letters();
  Status replay(const ReplayedFrame& frame);

  std::uint64_t begin_of_put() const;
  static Result<Incoming> prepare_rows(ArrowSchema* schema, ArrowArray* rows);
  std::optional<std::uint64_t> submit(Incoming incoming, PutCallback done);
  std::optional<std::uint64_t> submit_locked(Incoming incoming, PutCallback done, Callbacks* after);
  Result<Admission> admit_locked(Incoming* incoming, std::uint64_t first_offset) const;
  Status check_foreign_columns(const Schema& admitted) const;
  PutCallback set_refused_aside_locked(std::vector<Refusal> refused, std::uint64_t first_offset,
                                       RecordBatch* batch, PutCallback done, Callbacks* after);
  std::string_view append_to_tail_locked(Incoming incoming, std::int64_t now_us);
  bool must_stall_locked(std::size_t bytes) const;
  bool is_full_locked(std::size_t bytes) const;
  void release_stalled_locked(Callbacks* after);
  void on_committed(std::uint64_t end_offset, const Status& status);
  void count_put_locked(std::uint64_t records, std::uint64_t bytes,
                        std::optional<std::uint64_t> duration_ns);
  void note_unflushed_locked(std::uint64_t bytes, std::int64_t now_us);
  void end_puts_locked();
  void acknowledge_locked(PendingPut put, std::uint64_t now_ns, Callbacks* after);
  void fail_puts_locked(const Error& error, Callbacks* after);
  std::optional<Error> refusal_locked() const;

  void begin_metering(const TopicSettings& topic, std::uint64_t identity);
  BucketMetrics& metrics() const { return metered_->cells(); }
  void publish_buffer_locked();
  void publish_table();
  void show_schema_locked(SchemaPtr schema, Callbacks* after);
  void tell(LogLevel level, const char* event, std::string message, Struct fields) const;
  void tell_flush(std::uint64_t records, std::int64_t begun_us, std::uint64_t took_ns) const;
  void tell_recovery(std::int64_t begun_us) const;
  void tell_compaction(const CompactionReport& report) const;
  void tell_merge(const CompactedFragments& fragments, std::uint64_t bytes,
                  std::uint64_t took_ns) const;
  void tell_removal(const RemovedVersions& removed, std::uint64_t took_ns) const;

  Result<ReadPlan> plan_read(std::uint64_t limit, std::uint64_t offset);

  void flush_records_async(StatusCallback done);
  bool wants_flush_locked() const;
  void schedule_flush_locked();
  void arm_flush_timer_locked();
  void retry_flush_later_locked();
  void run_flush();
  FlushPlan plan_flush_locked();
  Status execute_flush(const FlushPlan& plan);
  void finish_flush_locked(FlushPlan* plan, const Status& status, Callbacks* after);

  void compact_records_async(CompactionOptions options, CompactionCallback done);
  bool can_compact_locked() const;
  void run_compaction(std::unique_lock<std::mutex>& lock);
  Result<CompactionReport> compact_table(const CompactionOptions& options);
  void fail_compactions_locked(const Error& error, Callbacks* after);
  // Each compaction ends in one of these.
  void note_compaction_locked(const CompactionReport& report, Callbacks* after);
  void note_failed_compaction_locked(const Error& error, Callbacks* after);

  bool is_removal_due_locked() const;
  bool is_merge_due_locked() const;
  void consider_maintenance_locked();
  bool can_maintain_locked() const;
  void run_maintenance(std::unique_lock<std::mutex>& lock);
  void begin_merge(std::unique_lock<std::mutex>& lock);
  void write_merge();
  void commit_merge(std::unique_lock<std::mutex>& lock);
  void remove_old_versions(std::unique_lock<std::mutex>& lock);
  void end_step_locked(std::chrono::nanoseconds rest);
  void rest_locked(std::chrono::nanoseconds rest);
  void end_rest_locked();
  void fail_step_locked(const Error& error, Callbacks* after);
  void publish_maintenance_locked();
  std::string maintenance_state_locked() const;

  void alter_async(Alteration alteration);
  Status alter_in_memory_locked(const Alteration& alteration, Callbacks* after);
  bool can_alter_locked() const;
  void run_alterations(std::unique_lock<std::mutex>& lock);
  Status alter_table(const Alteration& alteration, std::unique_lock<std::mutex>& lock,
                     Callbacks* after);
  void fail_alterations_locked(const Error& error, Callbacks* after);
  Status apply_declaration();

  const EngineOptions options_;
  const EngineEnvironment environment_;
  const std::uint64_t fork_generation_;

  // Set by open(), then constant.
  std::unique_ptr<FileLock> lock_;
  std::shared_ptr<MeteredBucket> metered_;
  std::unique_ptr<Wal> wal_;
  WalRecovery recovery_;
  std::optional<std::uint64_t> replayed_from_;  // the first offset in the log
  // Records of the log that a version newer than the checkpoint claims to hold; only while opening.
  RecordBatch claimed_;
  // Touched by open(), then only by the running flush.
  std::unique_ptr<BucketTable> table_;
  std::shared_ptr<BucketEngine> dead_letters_;  // set by open(), then constant

  // Self-synchronised.
  Subscribers subscribers_;
  std::atomic<std::uint64_t> visible_end_{0};  // written under mutex_

  mutable std::mutex mutex_;
  std::condition_variable flush_ended_;  // or the writing of a merge
  // Under mutex_.
  SchemaPtr schema_ = std::make_shared<const Schema>();  // of everything appended
  SchemaPtr visible_schema_ = schema_;                   // of everything visible
  Tail tail_{0};
  std::uint64_t flushed_to_ = 0;
  std::shared_ptr<const TableSnapshot> snapshot_;  // holds every record below flushed_to_
  const std::shared_ptr<ReadAhead> read_ahead_ = std::make_shared<ReadAhead>();
  std::uint64_t unflushed_bytes_ = 0;
  std::int64_t oldest_unflushed_us_ = 0;  // when it was put; 0: there is none
  SampledStopwatch stopwatch_;            // of puts at once
  std::deque<PendingPut> pending_;
  std::deque<StalledPut> stalled_;
  std::deque<Alteration> alterations_;
  bool is_altering_ = false;  // one that is not among them any more
  std::deque<PendingCompaction> compactions_;
  std::vector<FlushWaiter> flush_waiters_;
  Maintenance maintenance_;
  bool flush_scheduled_ = false;
  bool flush_running_ = false;
  bool flush_timer_armed_ = false;
  bool flush_retry_armed_ = false;
  std::uint32_t flush_failures_in_a_row_ = 0;
  std::optional<Error> flush_error_;  // of the last flush
  std::optional<Error> failure_;      // the log's; sticks
  bool closing_ = false;
};

}  // namespace persisting
