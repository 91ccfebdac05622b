#include "engine/bucket_engine.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "persisting/log.h"

#include "base/fork_generation.h"
#include "engine/bucket_engine_parts.h"
#include "engine/table_rows.h"
#include "schema/admission.h"
#include "schema/normalizer.h"

namespace persisting {

BucketEngine::BucketEngine(EngineOptions options, EngineEnvironment environment)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      fork_generation_(fork_generation()) {}

// Nothing to do here: shut_down() ran when the last user let go, or open() failed before any thread knew the engine.
BucketEngine::~BucketEngine() = default;

Result<std::shared_ptr<BucketEngine>> BucketEngine::open(EngineOptions options,
                                                         EngineEnvironment environment) {
  std::shared_ptr<BucketEngine> engine(
      new BucketEngine(std::move(options), std::move(environment)));
  Status status = engine->recover();
  if (!status) {
    (void)engine->shut_down();  // the error that opening met is the one to report
    Error error = with_context(std::move(status).error(),
                               "bucket " + std::to_string(engine->options_.bucket_id));
    if (error.code == ErrorCode::kCorruption) {
      error.message +=
          "; `persisting verify` tells all that is damaged, `persisting repair` saves "
          "the rest into a new bucket";
    }
    return error;
  }
  return engine;
}

Status BucketEngine::recover() {
  if (!options_.has_table) return ok_status();
  FileSystem& file_system = *environment_.file_system;
  PERSISTING_RETURN_IF_ERROR(file_system.create_folders(options_.folder));
  PERSISTING_RETURN_IF_ERROR(check_storage());
  PERSISTING_ASSIGN_OR_RETURN(lock_, file_system.lock_file(options_.folder + "/LOCK"));
  PERSISTING_ASSIGN_OR_RETURN(
      const BucketIdentity identity,
      open_identity(file_system, options_.folder, options_.bucket_id, options_.topic));
  PERSISTING_RETURN_IF_ERROR(load(identity.id, NewerVersions::kAccept));
  if (!table_agrees_with_log()) {
    // The log has everything since the checkpoint: that version is not needed.
    PERSISTING_RETURN_IF_ERROR(load(identity.id, NewerVersions::kSetAside));
  }
  claimed_ = RecordBatch();
  PERSISTING_RETURN_IF_ERROR(
      table_->begin_epoch(wal_ != nullptr ? wal_->epoch() : table_->epoch() + 1));
  if (!options_.has_wal && wal_ != nullptr) return drain_log();
  const std::lock_guard lock(mutex_);
  if (wants_flush_locked()) schedule_flush_locked();
  arm_flush_timer_locked();
  return ok_status();
}

Status BucketEngine::check_storage() const {
  if (options_.allow_network_storage) return ok_status();
  PERSISTING_ASSIGN_OR_RETURN(const std::string network,
                              environment_.file_system->network_file_system(options_.folder));
  if (network.empty()) return ok_status();
  return make_error(ErrorCode::kUnsupported,
                    options_.folder + " is on a network file system (" + network +
                        "), whose locks and syncs cannot be relied on; use a local disk, or open "
                        "with allow_network_storage=True");
}

// Reads table and log into memory; the second time from the beginning.
Status BucketEngine::load(std::uint64_t identity, NewerVersions newer) {
  wal_.reset();
  replayed_from_.reset();
  unflushed_bytes_ = 0;
  claimed_ = RecordBatch();
  PERSISTING_ASSIGN_OR_RETURN(table_, BucketTable::open(*environment_.file_system, options_.folder,
                                                        environment_.open_table, newer));
  schema_ = table_->checkpoint_schema();
  flushed_to_ = table_->flushed_to();
  snapshot_ = table_->snapshot();
  tail_ = Tail(flushed_to_);
  PERSISTING_RETURN_IF_ERROR(open_log(identity));
  const bool log_reaches_back = replayed_from_ && *replayed_from_ <= table_->checkpointed_to();
  PERSISTING_ASSIGN_OR_RETURN(schema_, table_->complete_schema(schema_, log_reaches_back));
  visible_end_ = tail_.next_offset();
  visible_schema_ = schema_;
  return ok_status();
}

// A version that no checkpoint names may be torn where its ends do not show it. What the log still has of its rows
// tells.
bool BucketEngine::table_agrees_with_log() const {
  if (claimed_.empty()) return true;
  const std::uint64_t first = flushed_to_ - claimed_.size();
  const Result<RecordBatch> rows = read_rows(*snapshot_, first, claimed_.size(), *schema_);
  RecordBatch expected;
  for (std::size_t i = 0; i < claimed_.size(); ++i) normalize(*schema_, claimed_[i], &expected);
  const bool agrees = rows && rows->bytes() == expected.bytes() &&
                      std::ranges::equal(rows->ends(), expected.ends());
  if (!agrees) {
    log(LogLevel::kWarning, options_.folder + ": version " + std::to_string(snapshot_->version()) +
                                " of the table does not hold the records of the log from offset " +
                                std::to_string(first) + " on; it is set aside");
  }
  return agrees;
}

// Opens the log; also where the options want none but an earlier opening left one behind, whose records count.
Status BucketEngine::open_log(std::uint64_t identity) {
  const std::string folder = options_.folder + "/wal";
  if (!options_.has_wal) {
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> left,
                                environment_.file_system->list_folder(folder));
    if (left.empty()) return ok_status();
  }
  WalOptions wal_options;
  wal_options.folder = folder;
  wal_options.bucket_identity = identity;
  wal_options.minimum_epoch = table_->epoch();
  wal_options.sync_interval = options_.wal_sync_interval;
  wal_options.segment_bytes = options_.max_wal_bytes;
  wal_options.compression = options_.compression;
  PERSISTING_ASSIGN_OR_RETURN(
      wal_, Wal::open(
                *environment_.file_system, environment_.executors->commit, wal_options, flushed_to_,
                [this](const ReplayedFrame& frame) { return replay(frame); },
                [weak = weak_from_this()](std::uint64_t end_offset, const Status& status) {
                  if (const auto engine = weak.lock()) engine->on_committed(end_offset, status);
                },
                &recovery_));
  if (recovery_.replayed_records > 0) {
    log(LogLevel::kInfo, options_.folder + ": recovered offsets up to " +
                             std::to_string(recovery_.next_offset) + ", of which the table holds " +
                             std::to_string(flushed_to_));
  }
  return ok_status();
}

// Takes one frame of the log back into schema and tail. Frames below flushed_to_ only tell what the schema was.
Status BucketEngine::replay(const ReplayedFrame& frame) {
  if (!replayed_from_) replayed_from_ = frame.first_offset;
  RecordBatch all;
  RecordBatch unflushed;
  std::size_t position = 0;
  for (std::size_t i = 0; i < frame.record_bytes.size(); ++i) {
    const std::string_view record = frame.records.substr(position, frame.record_bytes[i]);
    position += frame.record_bytes[i];
    all.add_encoded(record);
    const std::uint64_t offset = frame.first_offset + i;
    if (offset >= flushed_to_) {
      unflushed.add_encoded(record);
    } else if (offset >= table_->checkpointed_to()) {
      claimed_.add_encoded(record);
    }
  }
  Result<SchemaPtr> admitted = admit(schema_, all, frame.first_offset);
  if (!admitted) {
    return Error{ErrorCode::kCorruption, Component::kWal,
                 "the log holds records that its own schema refuses: " + admitted.error().message};
  }
  schema_ = std::move(admitted).value();
  if (unflushed.empty()) return ok_status();
  tail_.append(unflushed, frame.timestamp_us);
  unflushed_bytes_ += unflushed.byte_size();
  return ok_status();
}

// ---- put ----

Result<std::uint64_t> BucketEngine::put_batch(RecordBatch batch) {
  Waiter<Result<std::uint64_t>> waiter;
  const std::optional<std::uint64_t> end = submit(std::move(batch), waiter.callback());
  // A failed commit has told the waiter through the listener.
  if (end) (void)wal_->commit(*end);
  return waiter.wait();
}

void BucketEngine::put_batch_async(RecordBatch batch, PutCallback done) {
  if (submit(std::move(batch), std::move(done))) wal_->commit_in_background();
}

// Takes the records in, or refuses them. Returns the offset that the caller must have committed, if any.
std::optional<std::uint64_t> BucketEngine::submit(RecordBatch batch, PutCallback done) {
  Callbacks after;
  std::optional<std::uint64_t> end;
  if (fork_generation_ != fork_generation()) {
    done(forked_error());
    return end;
  }
  {
    const std::lock_guard lock(mutex_);
    if (must_stall_locked(batch)) {
      stalled_.push_back({std::move(batch), std::move(done)});
      schedule_flush_locked();
    } else {
      end = submit_locked(std::move(batch), std::move(done), &after);
    }
  }
  run(after);
  return end;
}

bool BucketEngine::must_stall_locked(const RecordBatch& batch) const {
  if (!options_.has_table || refusal_locked()) return false;
  if (!stalled_.empty()) return true;  // keep the order
  return unflushed_bytes_ > 0 && unflushed_bytes_ + batch.byte_size() > options_.max_buffer_bytes;
}

std::optional<Error> BucketEngine::refusal_locked() const {
  if (failure_) return failure_;
  if (closing_) return closed_error();
  return std::nullopt;
}

Result<SchemaPtr> BucketEngine::admit_locked(const RecordBatch& batch,
                                             std::uint64_t first_offset) const {
  PERSISTING_ASSIGN_OR_RETURN(SchemaPtr admitted, admit(schema_, batch, first_offset));
  if (admitted == schema_ || table_ == nullptr) return admitted;
  for (const std::string& column : table_->foreign_columns()) {
    if (!admitted->find(column)) continue;
    return make_error(ErrorCode::kSchema,
                      "field '" + column +
                          "' has the name of a column that another program added to the "
                          "table, of a type that no record holds; rename the field");
  }
  return admitted;
}

std::optional<std::uint64_t> BucketEngine::submit_locked(RecordBatch batch, PutCallback done,
                                                         Callbacks* after) {
  const auto answer = [after, &done](Result<std::uint64_t> result) {
    after->push_back([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
    return std::optional<std::uint64_t>();
  };
  if (std::optional<Error> refusal = refusal_locked()) return answer(*std::move(refusal));
  if (batch.empty()) return answer(visible_end_.load());
  const std::size_t frame_bytes = batch.byte_size() + batch.size() * sizeof(std::uint32_t);
  if (frame_bytes > max_batch_bytes) {
    return answer(make_error(
        ErrorCode::kInvalidArgument,
        "a batch of " + std::to_string(batch.size()) + " records and " +
            std::to_string(batch.byte_size()) + " encoded bytes is too large (at most " +
            std::to_string(max_batch_bytes) + " with four bytes more a record); put it in parts"));
  }
  const std::uint64_t first = tail_.next_offset();
  Result<SchemaPtr> admitted = admit_locked(batch, first);
  if (!admitted) return answer(std::move(admitted).error());
  schema_ = std::move(admitted).value();

  const std::int64_t now = environment_.now_us();
  const std::string_view records = tail_.append(batch, now);
  const std::uint64_t end = tail_.next_offset();
  unflushed_bytes_ += batch.byte_size();
  counters_.records += batch.size();
  counters_.bytes += batch.byte_size();
  if (wal_ != nullptr) {
    thread_local std::vector<std::uint32_t> lengths;
    lengths.clear();
    std::size_t begin = 0;
    for (const std::size_t record_end : batch.ends()) {
      lengths.push_back(static_cast<std::uint32_t>(record_end - begin));
      begin = record_end;
    }
    pending_.push_back({first, end, schema_, std::move(done)});
    wal_->enqueue({first, now, lengths, records});
    return end;
  }
  visible_end_ = end;
  visible_schema_ = schema_;
  arm_flush_timer_locked();
  if (wants_flush_locked()) schedule_flush_locked();
  after->push_back([this, done = std::move(done), first] {
    done(first);
    subscribers_.notify();
  });
  return std::nullopt;
}

void BucketEngine::on_committed(std::uint64_t end_offset, const Status& status) {
  Callbacks after;
  {
    const std::lock_guard lock(mutex_);
    if (!status) {
      fail_puts_locked(status.error(), &after);
    } else {
      visible_end_ = std::max(visible_end_.load(), end_offset);
      while (!pending_.empty() && pending_.front().end_offset <= end_offset) {
        visible_schema_ = std::move(pending_.front().schema);
        after.push_back([put = std::move(pending_.front())] { put.done(put.first_offset); });
        pending_.pop_front();
      }
      arm_flush_timer_locked();
      if (wants_flush_locked()) schedule_flush_locked();
    }
  }
  run(after);
  subscribers_.notify();
}

// The log failed: nothing that waits will be acknowledged, and nothing later accepted.
void BucketEngine::fail_puts_locked(const Error& error, Callbacks* after) {
  if (!failure_) failure_ = error;
  schema_ = visible_schema_;
  for (PendingPut& put : pending_) {
    after->push_back([done = std::move(put.done), error] { done(error); });
  }
  pending_.clear();
  for (StalledPut& put : stalled_) {
    after->push_back([done = std::move(put.done), error] { done(error); });
  }
  stalled_.clear();
}

// ---- get ----

// What a read needs, taken under the lock and executed without it.
struct BucketEngine::ReadPlan {
  SchemaPtr schema;
  std::shared_ptr<const TableSnapshot> snapshot;
  std::uint64_t table_first = 0;
  std::uint64_t table_count = 0;
  std::vector<TailSlice> tail;
};

Result<BucketEngine::ReadPlan> BucketEngine::plan_read(std::uint64_t limit, std::uint64_t offset) {
  if (fork_generation_ != fork_generation()) return forked_error();
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  ReadPlan plan;
  plan.schema = visible_schema_;
  const std::uint64_t visible = visible_end_;
  if (offset >= visible) return plan;
  const std::uint64_t end = offset + std::min(limit, visible - offset);
  if (offset < flushed_to_) {
    plan.snapshot = snapshot_;
    plan.table_first = offset;
    plan.table_count = std::min(end, flushed_to_) - offset;
  }
  if (end > flushed_to_) plan.tail = tail_.slice(std::max(offset, flushed_to_), end);
  return plan;
}

Result<RecordBatch> BucketEngine::run_read(const ReadPlan& plan) {
  RecordBatch records;
  if (plan.table_count > 0) {
    PERSISTING_ASSIGN_OR_RETURN(
        records, read_rows(*plan.snapshot, plan.table_first, plan.table_count, *plan.schema));
  }
  for (const TailSlice& slice : plan.tail) {
    records.reserve(records.size() + slice.count, records.byte_size() + slice.byte_size());
    for (std::size_t i = slice.first; i < slice.first + slice.count; ++i) {
      normalize(*plan.schema, slice.chunk->record(i), &records);
    }
  }
  return records;
}

Result<RecordBatch> BucketEngine::get(std::uint64_t limit, std::uint64_t offset) {
  PERSISTING_ASSIGN_OR_RETURN(const ReadPlan plan, plan_read(limit, offset));
  return run_read(plan);
}

void BucketEngine::get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) {
  Result<ReadPlan> plan = plan_read(limit, offset);
  if (!plan) return done(std::move(plan).error());
  if (plan->table_count == 0) return done(run_read(*plan));
  environment_.executors->read.submit(
      [plan = std::move(plan).value(), done = std::move(done)] { done(run_read(plan)); });
}

// ---- the rest ----

std::unique_ptr<Subscription> BucketEngine::subscribe(std::function<void()> listener) {
  return subscribers_.add(std::move(listener));
}

Result<BackendStats> BucketEngine::stats() {
  if (fork_generation_ != fork_generation()) return forked_error();
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  BackendStats stats;
  stats.bucket_id = options_.bucket_id;
  stats.backend = options_.backend;
  stats.storage_path = options_.folder;
  stats.total_count = visible_end_;
  stats.persisted_count = flushed_to_;
  stats.buffer_count = stats.total_count - flushed_to_;
  const auto integer = [](auto value) { return Value(static_cast<std::int64_t>(value)); };
  stats.extra["buffer_bytes"] = integer(unflushed_bytes_);
  if (options_.has_table)
    stats.extra["flush_error"] = flush_error_ ? Value(flush_error_->message) : Value();
  if (options_.has_wal) {
    stats.extra["wal_size"] = integer(wal_ != nullptr ? wal_->size_bytes() : 0);
    stats.extra["compression"] = options_.compression == Compression::kNone
                                     ? Value()
                                     : Value(std::string(name_of(options_.compression)));
    stats.extra["poisoned"] = failure_.has_value();
  }
  if (options_.metrics) {
    stats.extra["metrics"] =
        Struct{{"persisting_records_total", integer(counters_.records)},
               {"persisting_bytes_total", integer(counters_.bytes)},
               {"persisting_buffer_size", integer(stats.buffer_count)},
               {"persisting_wal_size_bytes", integer(wal_ != nullptr ? wal_->size_bytes() : 0)},
               {"persisting_flush_duration_seconds_sum",
                std::chrono::duration<double>(counters_.flush_time).count()},
               {"persisting_flush_duration_seconds_count", integer(counters_.flushes)},
               {"persisting_flush_failures_total", integer(counters_.flush_failures)}};
  }
  return stats;
}

Status BucketEngine::shut_down() {
  if (fork_generation_ != fork_generation()) return forked_error();
  Callbacks after;
  {
    std::unique_lock lock(mutex_);
    if (closing_) return ok_status();
    closing_ = true;
    for (StalledPut& put : stalled_)
      after.push_back([done = std::move(put.done)] { done(closed_error()); });
    stalled_.clear();
    for (FlushWaiter& waiter : flush_waiters_)
      after.push_back([done = std::move(waiter.done)] { done(closed_error()); });
    flush_waiters_.clear();
    flush_ended_.wait(lock, [this] { return !flush_running_; });
  }
  run(after);
  Status status = ok_status();
  if (wal_ != nullptr) status = wal_->close();
  lock_.reset();
  subscribers_.notify();
  return status;
}

}  // namespace persisting
