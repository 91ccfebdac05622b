// BucketEngine's flush: when it runs, and what changes in memory around BucketTable::flush.
#include <algorithm>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "base/log_context.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"

namespace persisting {
namespace {

constexpr std::chrono::milliseconds first_retry{100};
constexpr std::chrono::milliseconds last_retry{30'000};

}  // namespace

void BucketEngine::flush_async(StatusCallback done) {
  if (fork_generation_ != fork_generation()) return done(forked_error());
  if (dead_letters_ == nullptr) return flush_records_async(std::move(done));
  // Dead letters were acknowledged too. There is one copy of `done` at a time: it may hold what ends the bucket.
  dead_letters_->flush_async([self = shared_from_this(),
                              done = std::move(done)](Status letters) mutable {
    self->flush_records_async([letters = std::move(letters), done = std::move(done)](
                                  const Status& records) { done(records ? letters : records); });
  });
}

void BucketEngine::flush_records_async(StatusCallback done) {
  std::optional<Status> answer;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) {
      answer = closed_error();
    } else if (!options_.has_table || flushed_to_ >= visible_end_) {
      answer = ok_status();
    } else {
      flush_waiters_.push_back({visible_end_, std::move(done)});
      schedule_flush_locked();
      return;
    }
  }
  done(*std::move(answer));
}

Status BucketEngine::flush() {
  Waiter<Status> waiter;
  flush_async(waiter.callback());
  return waiter.wait();
}

bool BucketEngine::wants_flush_locked() const {
  if (!options_.has_table) return false;
  if (can_alter_locked() || can_compact_locked() || can_maintain_locked()) return true;
  if (flushed_to_ >= visible_end_) return false;
  const FlushPolicy& policy = options_.flush;
  return !flush_waiters_.empty() || !stalled_.empty() || !alterations_.empty() ||
         !compactions_.empty() ||
         (policy.records != 0 && visible_end_ - flushed_to_ >= policy.records) ||
         unflushed_bytes_ >= policy.bytes ||
         (wal_ != nullptr && wal_->size_bytes() >= options_.max_wal_bytes);
}

void BucketEngine::schedule_flush_locked() {
  // After a failure the retry is on its way already; only a waiter is worth a try at once.
  if (flush_scheduled_ || flush_running_ || closing_) return;
  if (flush_error_ && flush_waiters_.empty() && alterations_.empty() && compactions_.empty())
    return;
  flush_scheduled_ = true;
  environment_.executors->flush.submit([self = shared_from_this()] { self->run_flush(); });
}

void BucketEngine::arm_flush_timer_locked() {
  if (!options_.has_table || flush_timer_armed_ || closing_ || flushed_to_ >= visible_end_) return;
  flush_timer_armed_ = true;
  environment_.executors->flush.submit_after(options_.flush.interval, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const std::lock_guard lock(self->mutex_);
    self->flush_timer_armed_ = false;
    if (self->flushed_to_ < self->visible_end_) self->schedule_flush_locked();
  });
}

void BucketEngine::retry_flush_later_locked() {
  if (closing_ || flush_retry_armed_) return;
  const std::uint32_t doublings = std::min<std::uint32_t>(flush_failures_in_a_row_ - 1, 16);
  flush_retry_armed_ = true;
  environment_.executors->flush.submit_after(std::min(first_retry * (1 << doublings), last_retry),
                                             [weak = weak_from_this()] {
                                               const auto self = weak.lock();
                                               if (self == nullptr) return;
                                               {
                                                 const std::lock_guard lock(self->mutex_);
                                                 self->flush_retry_armed_ = false;
                                               }
                                               self->run_flush();
                                             });
}

// What one flush moves, taken under the lock and executed without it.
struct BucketEngine::FlushPlan {
  std::vector<TailSlice> slices;
  SchemaPtr schema;
  std::uint64_t end = 0;
  std::shared_ptr<const TableSnapshot> replaced;  // by finish_flush_locked()
};

BucketEngine::FlushPlan BucketEngine::plan_flush_locked() {
  // The table may be ahead of flushed_to_ where only its checkpoint failed.
  return {tail_.slice(table_->flushed_to(), visible_end_), visible_schema_, visible_end_, nullptr};
}

// Moves everything into the table before anybody else knows the engine.
Status BucketEngine::flush_while_opening() {
  FlushPlan plan;
  {
    const std::lock_guard lock(mutex_);
    plan = plan_flush_locked();
  }
  Status flushed = execute_flush(plan);
  Callbacks after;
  const std::lock_guard lock(mutex_);
  finish_flush_locked(&plan, flushed, &after);
  return flushed;
}

// Moves everything into the table and ends the log: the options want none.
Status BucketEngine::drain_log() {
  PERSISTING_RETURN_IF_ERROR(flush_while_opening());
  PERSISTING_RETURN_IF_ERROR(wal_->close());
  wal_.reset();
  return ok_status();
}

void BucketEngine::run_flush() {
  std::unique_lock lock(mutex_);
  flush_scheduled_ = false;
  if (closing_ || flush_running_) return;
  flush_running_ = true;
  bool again = true;
  while (again) {
    const bool alters = flushed_to_ == visible_end_ && !flush_error_ && can_alter_locked();
    if (alters || can_compact_locked() || can_maintain_locked()) {
      if (alters) {
        run_alterations(lock);
      } else if (can_compact_locked()) {
        run_compaction(lock);
      } else {
        run_maintenance(lock);
      }
      again = !closing_ && wants_flush_locked();
      if (again) continue;
      flush_running_ = false;
      flush_ended_.notify_all();
      break;
    }
    FlushPlan plan = plan_flush_locked();
    lock.unlock();
    const Status status = execute_flush(plan);
    Callbacks after;
    lock.lock();
    finish_flush_locked(&plan, status, &after);
    lock.unlock();
    // Without the lock, because the end of a snapshot, or of rows in Arrow, may wait for the interpreter's; and before the flush
    // has ended, because then the Lance engine may go.
    plan = {};
    lock.lock();
    again = status.ok() && !closing_ && wants_flush_locked();
    if (!again) {
      flush_running_ = false;
      flush_ended_.notify_all();
    }
    lock.unlock();
    run(after);
    lock.lock();
  }
}

Status BucketEngine::execute_flush(const FlushPlan& plan) {
  const LogContext context(metered_->description().topic, options_.bucket_id);
  const std::uint64_t begun_ns = monotonic_ns();
  const std::int64_t begun_us = environment_.now_us();
  const std::uint64_t flushed_before = table_->flushed_to();
  // The table must not get ahead of what a power cut leaves of the log.
  if (wal_ != nullptr && options_.wal_sync_interval.count() > 0)
    PERSISTING_RETURN_IF_ERROR(wal_->sync());
  PERSISTING_RETURN_IF_ERROR(table_->flush(plan.slices, plan.schema));
  const std::uint64_t took_ns = monotonic_ns() - begun_ns;
  metrics().flush_duration.observe_nanoseconds(took_ns);
  publish_table();
  tell_flush(table_->flushed_to() - flushed_before, begun_us, took_ns);
  if (wal_ == nullptr) return ok_status();
  // Readers still find these records in the tail; only the log lets go of them.
  return wal_->retire(table_->flushed_to());
}

// Takes the outcome in.
void BucketEngine::finish_flush_locked(FlushPlan* plan, const Status& status, Callbacks* after) {
  if (!status) {
    flush_error_ = status.error();
    metrics().flush_failures.add(1);
    flush_failures_in_a_row_ += 1;
    // Told first, so that whoever waited finds it in the log.
    after->push_back([this, reason = status.error().message] {
      tell(LogLevel::kError, "flush_failed", "flush failed, will be tried again: " + reason,
           {{"reason", reason}});
    });
    for (FlushWaiter& waiter : flush_waiters_) {
      after->push_back([done = std::move(waiter.done), error = status.error()] { done(error); });
    }
    flush_waiters_.clear();
    // Puts that waited for a change of the schema need not wait any more.
    fail_alterations_locked(status.error(), after);
    fail_compactions_locked(status.error(), after);
    release_stalled_locked(after);
    const Error full =
        with_context(status.error(), "the buffer of " + std::to_string(options_.max_buffer_bytes) +
                                         " bytes (max_buffer_bytes) is full and the flush fails");
    for (StalledPut& put : stalled_)
      after->push_back([done = std::move(put.done), full] { done(full); });
    stalled_.clear();
    retry_flush_later_locked();
    return;
  }
  flush_error_.reset();
  flush_failures_in_a_row_ = 0;
  for (const TailSlice& slice : tail_.slice(flushed_to_, plan->end))
    unflushed_bytes_ -= slice.byte_size();
  flushed_to_ = plan->end;
  plan->replaced = std::exchange(snapshot_, table_->snapshot());
  tail_.drop_below(flushed_to_);
  const std::vector<TailSlice> left = tail_.slice(flushed_to_, tail_.next_offset());
  oldest_unflushed_us_ = left.empty() ? 0 : left.front().chunk->timestamp_us(left.front().first);
  publish_buffer_locked();

  const auto still_waiting =
      std::partition(flush_waiters_.begin(), flush_waiters_.end(),
                     [this](const FlushWaiter& waiter) { return waiter.target > flushed_to_; });
  for (auto waiter = still_waiting; waiter != flush_waiters_.end(); ++waiter) {
    after->push_back([done = std::move(waiter->done)] { done(ok_status()); });
  }
  flush_waiters_.erase(still_waiting, flush_waiters_.end());

  release_stalled_locked(after);
  consider_maintenance_locked();
}

}  // namespace persisting
