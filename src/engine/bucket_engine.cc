#include "engine/bucket_engine.h"

#include <algorithm>
#include <cassert>
#include <utility>

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
  std::unique_ptr<BucketTable> table;
  std::shared_ptr<const TableSnapshot> snapshot;
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
    // A task that waits for its turn may hold the engine for longer than there is a Lance engine.
    table = std::move(table_);
    snapshot = std::move(snapshot_);
  }
  run(after);
  snapshot.reset();
  table.reset();
  Status status = ok_status();
  if (wal_ != nullptr) status = wal_->close();
  lock_.reset();
  subscribers_.notify();
  return status;
}

}  // namespace persisting
