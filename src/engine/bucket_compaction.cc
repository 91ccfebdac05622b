// BucketEngine's compaction: when it runs, and what changes in memory around BucketTable::compact.
// It is the flush's thread that compacts, between two flushes, once the table holds everything that was acknowledged
// before the call. Reads of the old version go on: they hold its snapshot, and a version that is held is not removed.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/fork_generation.h"
#include "base/log_context.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"

namespace persisting {

void BucketEngine::compact_async(CompactionOptions options, CompactionCallback done) {
  if (fork_generation_ != fork_generation()) return done(forked_error());
  if (options.target_rows_per_fragment == 0) {
    return done(
        make_error(ErrorCode::kInvalidArgument, "target_rows_per_fragment must be at least 1"));
  }
  if (dead_letters_ == nullptr) return compact_records_async(std::move(options), std::move(done));
  CompactionOptions of_letters;
  of_letters.target_rows_per_fragment = options.target_rows_per_fragment;
  dead_letters_->compact_async(
      std::move(of_letters), [self = shared_from_this(), options = std::move(options),
                              done = std::move(done)](Result<CompactionReport> letters) mutable {
        if (!letters) return done(std::move(letters));
        self->compact_records_async(std::move(options),
                                    [letters = std::move(letters).value(),
                                     done = std::move(done)](Result<CompactionReport> records) {
                                      if (records) {
                                        records->fragments_before += letters.fragments_before;
                                        records->fragments_after += letters.fragments_after;
                                        records->versions_removed += letters.versions_removed;
                                        records->bytes_removed += letters.bytes_removed;
                                        records->duration += letters.duration;
                                      }
                                      done(std::move(records));
                                    });
      });
}

void BucketEngine::compact_records_async(CompactionOptions options, CompactionCallback done) {
  std::optional<Error> refusal;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) {
      refusal = closed_error();
    } else if (!options_.has_table) {
      refusal = make_error(ErrorCode::kUnsupported, "compact() is for backends with a table; '" +
                                                        options_.backend +
                                                        "' keeps its records in memory");
    } else {
      compactions_.push_back({visible_end_, std::move(options), std::move(done)});
      schedule_flush_locked();
      return;
    }
  }
  done(*std::move(refusal));
}

bool BucketEngine::can_compact_locked() const {
  return !compactions_.empty() && !flush_error_ && flushed_to_ >= compactions_.front().target;
}

// Lets go of the lock for as long as the table takes.
void BucketEngine::run_compaction(std::unique_lock<std::mutex>& lock) {
  // Taken out: while it is at the table, whoever ends the bucket answers those that are left.
  PendingCompaction compaction = std::move(compactions_.front());
  compactions_.pop_front();
  lock.unlock();
  Result<CompactionReport> result = compact_table(compaction.options);
  compaction.options.progress =
      nullptr;  // without the lock: it may hold what has a lock of its own
  Callbacks after;
  lock.lock();
  if (result) {
    note_compaction_locked(*result, &after);
  } else {
    note_failed_compaction_locked(result.error(), &after);
  }
  lock.unlock();
  run(after);
  compaction.done(std::move(result));
  lock.lock();
}

Result<CompactionReport> BucketEngine::compact_table(const CompactionOptions& options) {
  const LogContext context(metered_->description().topic, options_.bucket_id);
  const auto begun = std::chrono::steady_clock::now();
  TableCompaction compaction;
  compaction.target_rows = options.target_rows_per_fragment;
  compaction.progress = [this, &options](std::uint64_t done, std::uint64_t total) -> Status {
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return closed_error();
    }
    if (options.progress) options.progress(done, total);
    return ok_status();
  };
  PERSISTING_ASSIGN_OR_RETURN(const CompactedFragments fragments, table_->compact(compaction));
  std::shared_ptr<const TableSnapshot> snapshot = table_->snapshot();
  {
    // Before old versions are removed: from here on no read begins on one of them.
    const std::lock_guard lock(mutex_);
    snapshot_.swap(snapshot);
  }
  snapshot.reset();
  PERSISTING_ASSIGN_OR_RETURN(const RemovedVersions removed, table_->remove_old_versions(1));
  publish_table();
  return CompactionReport{fragments.before, fragments.after, removed.versions, removed.bytes,
                          std::chrono::steady_clock::now() - begun};
}

void BucketEngine::fail_compactions_locked(const Error& error, Callbacks* after) {
  for (PendingCompaction& compaction : compactions_) {
    note_failed_compaction_locked(error, after);
    const auto failed = std::make_shared<PendingCompaction>(std::move(compaction));
    after->push_back([failed, error] {
      failed->options.progress = nullptr;  // as in run_compaction()
      failed->done(error);
    });
  }
  compactions_.clear();
}

void BucketEngine::note_compaction_locked(const CompactionReport& report, Callbacks* after) {
  BucketMetrics& cells = metrics();
  cells.compaction_duration.observe_nanoseconds(
      static_cast<std::uint64_t>(report.duration.count()));
  cells.compaction_fragments_merged.add(report.fragments_before - report.fragments_after);
  cells.compaction_versions_removed.add(report.versions_removed);
  after->push_back([this, report] { tell_compaction(report); });
}

void BucketEngine::note_failed_compaction_locked(const Error& error, Callbacks* after) {
  metrics().compaction_failures.add(1);
  after->push_back([this, reason = error.message] {
    tell(LogLevel::kError, "compaction_failed", "compaction failed: " + reason,
         {{"reason", reason}});
  });
}

}  // namespace persisting
