// BucketEngine's maintenance: small fragments are merged and old versions removed in the background, so that a table that is
// flushed for ever stays as quick as a new one.
//
//   a flush ends ── due? ── begin ── the merged rows are written ── commit ── rest ── due? …
//                           └ turn ┘ └ maintenance executor ┘      └ turn ┘
//
// A turn at the table is one like a flush's, and short; what is long runs beside flushes. After what it has written the
// bucket rests, so that on average no more bytes are written than the policy says.
// Failure: puts, flushes and reads go on; the step is tried again with growing pauses, and stats() tells of it.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "base/log_context.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"

namespace persisting {
namespace {

constexpr std::chrono::seconds first_retry{1};
constexpr std::chrono::seconds last_retry{300};

std::chrono::nanoseconds nanoseconds_of(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  if (bytes_per_second == 0) return std::chrono::nanoseconds(0);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

Error no_table(const std::string& backend) {
  return make_error(ErrorCode::kUnsupported, "maintenance is for backends with a table; '" +
                                                 backend + "' keeps its records in memory");
}

}  // namespace

Status BucketEngine::pause_maintenance() {
  if (fork_generation_ != fork_generation()) return forked_error();
  if (dead_letters_ != nullptr) PERSISTING_RETURN_IF_ERROR(dead_letters_->pause_maintenance());
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  if (!options_.has_table) return no_table(options_.backend);
  maintenance_.is_paused = true;
  if (maintenance_.phase == Maintenance::Phase::kDue)
    maintenance_.phase = Maintenance::Phase::kIdle;
  publish_maintenance_locked();
  return ok_status();
}

Status BucketEngine::resume_maintenance() {
  if (fork_generation_ != fork_generation()) return forked_error();
  if (dead_letters_ != nullptr) PERSISTING_RETURN_IF_ERROR(dead_letters_->resume_maintenance());
  const std::lock_guard lock(mutex_);
  if (closing_) return closed_error();
  if (!options_.has_table) return no_table(options_.backend);
  maintenance_.is_paused = false;
  if (options_.maintenance.enabled && maintenance_.phase == Maintenance::Phase::kIdle) {
    maintenance_.phase = Maintenance::Phase::kDue;
    schedule_flush_locked();
  }
  publish_maintenance_locked();
  return ok_status();
}

std::string BucketEngine::maintenance_state_locked() const {
  if (!options_.maintenance.enabled) return "off";
  if (maintenance_.is_paused) return "paused";
  return maintenance_.phase == Maintenance::Phase::kIdle ? "idle" : "running";
}

void BucketEngine::publish_maintenance_locked() {
  const bool enabled = options_.maintenance.enabled;
  metrics().maintenance_paused.set(options_.has_table && (!enabled || maintenance_.is_paused));
  metrics().maintenance_running.set(maintenance_.phase != Maintenance::Phase::kIdle);
}

// ---- turns at the table, in the flush's thread ----

bool BucketEngine::is_removal_due_locked() const {
  const MaintenancePolicy& policy = options_.maintenance;
  // Versions that are tagged or read stay, and are no reason to look again.
  const std::uint64_t left = std::max(maintenance_.versions_after, policy.versions_kept);
  return table_->version_count() >= left + policy.versions_between;
}

bool BucketEngine::is_merge_due_locked() const {
  if (maintenance_.error) return true;
  const std::uint64_t files = table_->file_count();
  const auto& settled = maintenance_.settled_files;
  return settled ? files >= *settled + options_.maintenance.fragments_between : files > 1;
}

// After each flush.
void BucketEngine::consider_maintenance_locked() {
  // compact() may have left fewer of both.
  if (maintenance_.settled_files)
    maintenance_.settled_files = std::min(*maintenance_.settled_files, table_->file_count());
  maintenance_.versions_after = std::min(maintenance_.versions_after, table_->version_count());
  if (!options_.maintenance.enabled || maintenance_.is_paused) return;
  if (maintenance_.phase != Maintenance::Phase::kIdle) return;
  if (!is_removal_due_locked() && !is_merge_due_locked()) return;
  maintenance_.phase = Maintenance::Phase::kDue;
  publish_maintenance_locked();
}

bool BucketEngine::can_maintain_locked() const {
  if (flush_error_) return false;
  return maintenance_.phase == Maintenance::Phase::kDue ||
         maintenance_.phase == Maintenance::Phase::kWritten;
}

// Lets go of the lock for as long as the table takes.
void BucketEngine::run_maintenance(std::unique_lock<std::mutex>& lock) {
  if (maintenance_.phase == Maintenance::Phase::kWritten) return commit_merge(lock);
  if (is_removal_due_locked()) return remove_old_versions(lock);
  if (is_merge_due_locked()) return begin_merge(lock);
  maintenance_.phase = Maintenance::Phase::kIdle;
  publish_maintenance_locked();
}

void BucketEngine::begin_merge(std::unique_lock<std::mutex>& lock) {
  maintenance_.phase = Maintenance::Phase::kSubmitted;
  maintenance_.files_before = table_->file_count();
  lock.unlock();
  std::unique_ptr<TableMerge> merge = table_->begin_merge();
  lock.lock();
  if (merge == nullptr) {
    maintenance_.phase = Maintenance::Phase::kIdle;
    publish_maintenance_locked();
    return;
  }
  maintenance_.merge = std::move(merge);
  environment_.executors->maintenance.submit([self = shared_from_this()] { self->write_merge(); });
}

void BucketEngine::commit_merge(std::unique_lock<std::mutex>& lock) {
  std::unique_ptr<TableMerge> merge = std::move(maintenance_.merge);
  const std::uint64_t begun_ns = maintenance_.merge_begun_ns;
  lock.unlock();
  const LogContext context(metered_->description().topic, options_.bucket_id);
  const std::uint64_t bytes = merge->bytes();
  const Result<CompactedFragments> committed = table_->commit_merge(*merge);
  publish_table();
  merge.reset();  // the files of one that failed are removed
  // The one that is replaced ends without the lock: that may wait for the interpreter's.
  std::shared_ptr<const TableSnapshot> snapshot = table_->snapshot();
  const std::uint64_t took_ns = monotonic_ns() - begun_ns;
  Callbacks after;
  lock.lock();
  metrics().maintenance_bytes.add(bytes);
  if (committed) {
    snapshot_.swap(snapshot);
    maintenance_.settled_files.reset();  // there may be more to merge
    metrics().compaction_duration.observe_nanoseconds(took_ns);
    metrics().compaction_fragments_merged.add(committed->before - committed->after);
    end_step_locked(nanoseconds_of(bytes, options_.maintenance.bytes_per_second) -
                    std::chrono::nanoseconds(took_ns));
    after.push_back(
        [this, figures = *committed, bytes, took_ns] { tell_merge(figures, bytes, took_ns); });
  } else {
    fail_step_locked(committed.error(), &after);
  }
  lock.unlock();
  snapshot.reset();
  run(after);
  lock.lock();
}

void BucketEngine::remove_old_versions(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const LogContext context(metered_->description().topic, options_.bucket_id);
  const std::uint64_t begun_ns = monotonic_ns();
  const Result<RemovedVersions> removed =
      table_->remove_old_versions(options_.maintenance.versions_kept);
  publish_table();
  const std::uint64_t took_ns = monotonic_ns() - begun_ns;
  Callbacks after;
  lock.lock();
  if (removed) {
    maintenance_.versions_after = table_->version_count();
    metrics().compaction_versions_removed.add(removed->versions);
    end_step_locked(std::chrono::nanoseconds(0));
    after.push_back([this, figures = *removed, took_ns] { tell_removal(figures, took_ns); });
  } else {
    fail_step_locked(removed.error(), &after);
  }
  lock.unlock();
  run(after);
  lock.lock();
}

// ---- beside the table, in the maintenance executor ----

void BucketEngine::write_merge() {
  std::unique_ptr<TableMerge> merge;
  Result<bool> written = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    maintenance_.phase = Maintenance::Phase::kWriting;
    maintenance_.merge_begun_ns = monotonic_ns();
    merge = std::move(maintenance_.merge);
  }
  {
    const LogContext context(metered_->description().topic, options_.bucket_id);
    written = merge->write();
  }
  if (!written || !*written) merge.reset();  // and the files that it wrote
  Callbacks after;
  {
    const std::lock_guard lock(mutex_);
    if (merge != nullptr) {
      maintenance_.merge = std::move(merge);
      maintenance_.phase = Maintenance::Phase::kWritten;
      schedule_flush_locked();
    } else if (written) {
      maintenance_.settled_files = maintenance_.files_before;
      end_step_locked(std::chrono::nanoseconds(0));
    } else {
      fail_step_locked(written.error(), &after);
    }
    flush_ended_.notify_all();  // whoever shuts the bucket down waits for it
  }
  run(after);
}

// ---- the end of a step ----

void BucketEngine::end_step_locked(std::chrono::nanoseconds rest) {
  maintenance_.failures_in_a_row = 0;
  maintenance_.error.reset();
  rest_locked(rest);
}

void BucketEngine::fail_step_locked(const Error& error, Callbacks* after) {
  const std::uint32_t doublings = std::min<std::uint32_t>(maintenance_.failures_in_a_row, 16);
  maintenance_.failures_in_a_row += 1;
  maintenance_.error = error;
  metrics().compaction_failures.add(1);
  after->push_back([this, reason = error.message] {
    tell(LogLevel::kError, "maintenance_failed",
         "maintenance failed, will be tried again: " + reason, {{"reason", reason}});
  });
  rest_locked(std::min<std::chrono::nanoseconds>(first_retry * (1 << doublings), last_retry));
}

// Then the next step is due, if there is one.
void BucketEngine::rest_locked(std::chrono::nanoseconds rest) {
  if (rest.count() <= 0) return end_rest_locked();
  maintenance_.phase = Maintenance::Phase::kResting;
  environment_.executors->maintenance.submit_after(rest, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const std::lock_guard lock(self->mutex_);
    self->end_rest_locked();
  });
}

void BucketEngine::end_rest_locked() {
  maintenance_.phase =
      maintenance_.is_paused ? Maintenance::Phase::kIdle : Maintenance::Phase::kDue;
  publish_maintenance_locked();
  if (can_maintain_locked()) schedule_flush_locked();
}

}  // namespace persisting
