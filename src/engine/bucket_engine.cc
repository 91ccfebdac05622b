#include "engine/bucket_engine.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "engine/arrow_chunk.h"
#include "engine/bucket_engine_parts.h"
#include "engine/dead_letters.h"

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

// ---- get ----

Result<ReadPlan> BucketEngine::plan_read(std::uint64_t limit, std::uint64_t offset) {
  if (fork_generation_ != fork_generation()) return forked_error();
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  ReadPlan plan;
  plan.schema = visible_schema_;
  const std::uint64_t visible = visible_end_;
  if (offset >= visible) return plan;
  const std::uint64_t end = offset + std::min(limit, visible - offset);
  metrics().read_records.add(end - offset);
  if (offset < flushed_to_) {
    plan.snapshot = snapshot_;
    plan.ahead = read_ahead_;
    plan.table_first = offset;
    plan.table_count = std::min(end, flushed_to_) - offset;
  }
  if (end > flushed_to_) plan.tail = tail_.slice(std::max(offset, flushed_to_), end);
  return plan;
}

Result<RecordBatch> BucketEngine::get(std::uint64_t limit, std::uint64_t offset) {
  PERSISTING_ASSIGN_OR_RETURN(const ReadPlan plan, plan_read(limit, offset));
  return run_read(plan);
}

void BucketEngine::get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) {
  Result<ReadPlan> plan = plan_read(limit, offset);
  if (!plan) return done(std::move(plan).error());
  if (!plan->must_wait()) return done(run_read(*plan));
  environment_.executors->read.submit(
      [plan = std::move(plan).value(), done = std::move(done)] { done(run_read(plan)); });
}

Result<RecordPagePtr> BucketEngine::read(std::uint64_t limit, std::uint64_t offset) {
  PERSISTING_ASSIGN_OR_RETURN(ReadPlan plan, plan_read(limit, offset));
  return run_page_read(std::move(plan));
}

void BucketEngine::read_async(std::uint64_t limit, std::uint64_t offset, ReadCallback done) {
  Result<ReadPlan> plan = plan_read(limit, offset);
  if (!plan) return done(std::move(plan).error());
  if (!plan->must_wait()) return done(run_page_read(std::move(plan).value()));
  environment_.executors->read.submit(
      [plan = std::move(plan).value(), done = std::move(done)]() mutable {
        done(run_page_read(std::move(plan)));
      });
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
  stats.extra["rejected"] = integer(metrics().rejected_records.value());
  stats.extra["dead_letters"] =
      integer(dead_letters_ != nullptr ? dead_letters_->total_count() : 0);
  if (options_.has_table) {
    stats.extra["flush_error"] = flush_error_ ? Value(flush_error_->message) : Value();
    stats.extra["maintenance"] = maintenance_state_locked();
    stats.extra["maintenance_error"] =
        maintenance_.error ? Value(maintenance_.error->message) : Value();
  }
  if (options_.has_wal) {
    stats.extra["wal_size"] = integer(wal_ != nullptr ? wal_->size_bytes() : 0);
    stats.extra["compression"] = options_.compression == Compression::kNone
                                     ? Value()
                                     : Value(std::string(name_of(options_.compression)));
    stats.extra["poisoned"] = failure_.has_value();
  }
  if (metered_->is_exported()) {
    const MeteredBucket::Description& known = metered_->description();
    stats.metrics = to_families(metrics(), known.topic, known.bucket_id, environment_.now_us());
  }
  return stats;
}

Status BucketEngine::shut_down() {
  if (fork_generation_ != fork_generation()) return forked_error();
  Callbacks after;
  std::unique_ptr<BucketTable> table;
  std::shared_ptr<const TableSnapshot> snapshot;
  Tail tail(0);
  std::unique_ptr<TableMerge> merge;
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
    fail_alterations_locked(closed_error(), &after);
    fail_compactions_locked(closed_error(), &after);
    flush_ended_.wait(lock, [this] {
      return !flush_running_ && maintenance_.phase != Maintenance::Phase::kWriting;
    });
    merge = std::move(maintenance_.merge);
    // A task that waits for its turn may hold the engine for longer than there is a Lance engine.
    table = std::move(table_);
    snapshot = std::move(snapshot_);
    std::swap(tail, tail_);
  }
  run(after);
  merge.reset();
  snapshot.reset();
  table.reset();
  Status status = ok_status();
  if (wal_ != nullptr) status = wal_->close();
  if (dead_letters_ != nullptr) {
    Status letters = dead_letters_->shut_down();
    if (status) status = std::move(letters);
  }
  end_metering();
  lock_.reset();
  subscribers_.notify();
  return status;
}

}  // namespace persisting
