// BucketEngine's metrics and log: what is counted where it is not counted on the spot, and what is told.
#include <algorithm>
#include <string>
#include <utility>

#include "base/fork_generation.h"
#include "engine/bucket_engine.h"
#include "engine/bucket_engine_parts.h"

namespace persisting {
namespace {

constexpr std::size_t changes_told = 5;

std::string describe(const SchemaChange& change) {
  std::string text = "'" + change.field + "' " + std::string(name_of(change.kind));
  if (!change.before.empty()) text += " from " + change.before;
  if (!change.after.empty()) text += " to " + change.after;
  return text;
}

Value integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }

double seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

}  // namespace

void BucketEngine::begin_metering(const TopicSettings& topic, std::uint64_t identity) {
  MeteredBucket::Description description;
  description.topic = topic_name(topic, options_.folder);
  description.bucket_id = options_.bucket_id;
  description.exported = options_.metrics;
  if (options_.is_part_of_bucket) {
    description.listed = false;
  } else {
    description.identity = identity;
  }
  metered_ = std::make_shared<MeteredBucket>(std::move(description));
}

void BucketEngine::end_metering() const {
  if (metered_ != nullptr) metered_->withdraw();
}

Result<std::vector<MetricFamily>> BucketEngine::get_metrics() const {
  if (fork_generation_ != fork_generation()) return forked_error();
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return closed_error();
  }
  const MeteredBucket::Description& known = metered_->description();
  return to_families(metrics(), known.topic, known.bucket_id, environment_.now_us());
}

void BucketEngine::publish_buffer_locked() {
  BucketMetrics& cells = metrics();
  const std::uint64_t visible = visible_end_.load(std::memory_order_relaxed);
  cells.buffer_records.set(tail_.next_offset() - flushed_to_);
  cells.buffer_bytes.set(unflushed_bytes_);
  if (table_ == nullptr) return;  // there is nothing to lag behind
  cells.flush_lag_records.set(visible - flushed_to_);
  cells.oldest_unflushed_us.set(static_cast<std::uint64_t>(oldest_unflushed_us_));
}

// Called by whoever changes the table.
void BucketEngine::publish_table() {
  metrics().fragments.set(table_->file_count());
  metrics().versions.set(table_->version_count());
}

// Lets readers see `schema`, and tells what is new in it.
void BucketEngine::show_schema_locked(SchemaPtr schema, Callbacks* after) {
  if (schema == visible_schema_) return;
  const std::size_t known = visible_schema_->history().size();
  const std::vector<SchemaChange>& history = schema->history();
  visible_schema_ = schema;
  if (history.size() <= known) return;
  metrics().schema_changes.add(history.size() - known);
  after->push_back([this, known, schema = std::move(schema)] {
    const std::vector<SchemaChange>& changes = schema->history();
    const std::size_t count = changes.size() - known;
    std::string message = "schema changed at offset " + std::to_string(changes[known].offset) + ":";
    for (std::size_t i = 0; i < std::min(count, changes_told); ++i)
      message += (i > 0 ? ", " : " ") + describe(changes[known + i]);
    if (count > changes_told) message += " and " + std::to_string(count - changes_told) + " more";
    tell(LogLevel::kInfo, "schema_change", std::move(message),
         {{"offset", integer(changes[known].offset)}, {"changes", integer(count)}});
  });
}

// Not under mutex_.
void BucketEngine::tell(LogLevel level, const char* event, std::string message,
                        Struct fields) const {
  if (options_.is_part_of_bucket) message = "dead letters: " + message;
  const std::string& folder = options_.folder;
  log({level, folder.empty() ? std::move(message) : folder + ": " + message, event,
       std::move(fields), metered_->description().topic, options_.bucket_id});
}

void BucketEngine::tell_flush(std::uint64_t records, std::int64_t begun_us,
                              std::uint64_t took_ns) const {
  const bool slow =
      took_ns > static_cast<std::uint64_t>(std::chrono::nanoseconds(options_.slow_flush).count());
  const Struct fields{{"records", integer(records)},
                      {"begin_ns", begun_us * 1000},
                      {"duration_seconds", seconds(took_ns)}};
  tell(LogLevel::kDebug, "flush", "flushed " + std::to_string(records) + " records", fields);
  if (!slow) return;
  tell(LogLevel::kWarning, "slow_flush",
       "a flush of " + std::to_string(records) + " records took " +
           std::to_string(seconds(took_ns)) + " s",
       fields);
}

void BucketEngine::tell_compaction(const CompactionReport& report) const {
  const auto took_ns = static_cast<std::uint64_t>(report.duration.count());
  tell(LogLevel::kInfo, "compaction",
       "compacted " + std::to_string(report.fragments_before) + " fragments into " +
           std::to_string(report.fragments_after) + ", removed " +
           std::to_string(report.versions_removed) + " versions and " +
           std::to_string(report.bytes_removed) + " bytes in " + std::to_string(seconds(took_ns)) +
           " s",
       {{"fragments_before", integer(report.fragments_before)},
        {"fragments_after", integer(report.fragments_after)},
        {"versions_removed", integer(report.versions_removed)},
        {"bytes_removed", integer(report.bytes_removed)},
        {"begin_ns", environment_.now_us() * 1000 - static_cast<std::int64_t>(took_ns)},
        {"duration_seconds", seconds(took_ns)}});
}

void BucketEngine::tell_merge(const CompactedFragments& fragments, std::uint64_t bytes,
                              std::uint64_t took_ns) const {
  tell(LogLevel::kDebug, "maintenance_merge",
       "merged " + std::to_string(fragments.before) + " fragments into " +
           std::to_string(fragments.after) + " of " + std::to_string(bytes) + " bytes in " +
           std::to_string(seconds(took_ns)) + " s",
       {{"fragments_before", integer(fragments.before)},
        {"fragments_after", integer(fragments.after)},
        {"bytes_written", integer(bytes)},
        {"begin_ns", environment_.now_us() * 1000 - static_cast<std::int64_t>(took_ns)},
        {"duration_seconds", seconds(took_ns)}});
}

void BucketEngine::tell_removal(const RemovedVersions& removed, std::uint64_t took_ns) const {
  tell(LogLevel::kDebug, "maintenance_removal",
       "removed " + std::to_string(removed.versions) + " old versions and " +
           std::to_string(removed.bytes) + " bytes in " + std::to_string(seconds(took_ns)) + " s",
       {{"versions_removed", integer(removed.versions)},
        {"bytes_removed", integer(removed.bytes)},
        {"begin_ns", environment_.now_us() * 1000 - static_cast<std::int64_t>(took_ns)},
        {"duration_seconds", seconds(took_ns)}});
}

// Of every opening of a bucket on disk; of interest where the log had something to give.
void BucketEngine::tell_recovery(std::int64_t begun_us) const {
  const std::uint64_t records = metrics().recovered_records.value();
  const bool remarkable = records > 0 || recovery_.truncated_bytes > 0;
  tell(remarkable ? LogLevel::kInfo : LogLevel::kDebug, "recovery",
       "recovered " + std::to_string(records) + " records from the log, up to offset " +
           std::to_string(total_count()),
       {{"records", integer(records)},
        {"next_offset", integer(total_count())},
        {"truncated_bytes", integer(recovery_.truncated_bytes)},
        {"begin_ns", begun_us * 1000},
        {"duration_seconds", seconds(metrics().recovery_ns.value())}});
}

}  // namespace persisting
