#include "metrics/bucket_metrics.h"

#include <cmath>
#include <limits>
#include <utility>

namespace persisting {
namespace {

constexpr double seconds_per_ns = 1e-9;
constexpr double seconds_per_step = 1e-6;

// Gathers families in the order of the calls.
class FamilyList {
 public:
  explicit FamilyList(std::map<std::string, std::string> labels) : labels_(std::move(labels)) {}

  void counter(const char* name, const char* help, const Counter& cell) {
    add(name, help, MetricKind::kCounter).value = static_cast<double>(cell.value());
  }
  void gauge(const char* name, const char* help, double value) {
    add(name, help, MetricKind::kGauge).value = value;
  }
  void gauge(const char* name, const char* help, const Gauge& cell) {
    gauge(name, help, static_cast<double>(cell.value()));
  }
  void durations(const char* name, const char* help, const Histogram& cells) {
    histogram(add(name, help, MetricKind::kHistogram), cells, seconds_per_step, seconds_per_ns);
  }
  void sizes(const char* name, const char* help, const Histogram& cells) {
    histogram(add(name, help, MetricKind::kHistogram), cells, 1, 1);
  }

  std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  MetricSample& add(const char* name, const char* help, MetricKind kind) {
    families_.push_back({std::string("persisting_") + name, help, kind, {}});
    families_.back().samples.push_back({labels_, 0, {}, 0, 0});
    return families_.back().samples.back();
  }

  static void histogram(MetricSample& sample, const Histogram& cells, double step, double unit) {
    for (std::size_t i = 0; i <= Histogram::bounded_buckets; ++i) {
      sample.count += cells.count(i);
      const double bound = i == Histogram::bounded_buckets ? std::numeric_limits<double>::infinity()
                                                           : std::ldexp(step, static_cast<int>(i));
      sample.buckets.emplace_back(bound, sample.count);
    }
    sample.sum = static_cast<double>(cells.sum()) * unit;
  }

  const std::map<std::string, std::string> labels_;
  std::vector<MetricFamily> families_;
};

double lag_seconds(const BucketMetrics& metrics, std::int64_t now_us) {
  const auto oldest = static_cast<std::int64_t>(metrics.oldest_unflushed_us.value());
  return oldest == 0 || now_us < oldest ? 0 : static_cast<double>(now_us - oldest) * 1e-6;
}

}  // namespace

std::vector<MetricFamily> to_families(const BucketMetrics& metrics, const std::string& topic,
                                      std::uint32_t bucket_id, std::int64_t now_us) {
  FamilyList list({{"topic", topic}, {"bucket", std::to_string(bucket_id)}});
  list.counter("records_total", "Records acknowledged.", metrics.records);
  list.counter("bytes_total", "Encoded bytes of the records acknowledged.", metrics.bytes);
  list.durations("put_duration_seconds",
                 "Time from a put's beginning to its acknowledgement, one for each call; of puts "
                 "that wait for nothing, one in 16 is measured.",
                 metrics.put_duration);
  list.counter("rejected_records_total",
               "Records that did not fit the schema, also those kept as dead letters.",
               metrics.rejected_records);
  list.counter("read_records_total", "Records handed to readers.", metrics.read_records);
  list.gauge("buffer_size",
             "Records that are not yet in the table, those that wait for their acknowledgement "
             "included.",
             metrics.buffer_records);
  list.gauge("buffer_bytes", "Encoded bytes of the records in the buffer.", metrics.buffer_bytes);
  list.gauge("flush_lag_records", "Records acknowledged that are not yet in the table.",
             metrics.flush_lag_records);
  list.gauge("flush_lag_seconds", "Age of the oldest record that is not yet in the table.",
             lag_seconds(metrics, now_us));
  list.durations("flush_duration_seconds", "Time that a flush into the table took.",
                 metrics.flush_duration);
  list.counter("flush_failures_total", "Flushes that failed; they are tried again.",
               metrics.flush_failures);
  list.gauge("wal_size_bytes", "Bytes of the log's segments.", metrics.wal.size_bytes);
  list.durations("wal_sync_duration_seconds", "Time that a sync of the log took.",
                 metrics.wal.sync_duration);
  list.sizes("group_commit_records", "Records that one write of the log committed.",
             metrics.wal.group_commit);
  list.gauge("recovery_duration_seconds", "Time that opening the bucket took.",
             static_cast<double>(metrics.recovery_ns.value()) * seconds_per_ns);
  list.counter("recovered_records_total",
               "Records that opening the bucket took from the log, not being in the table yet.",
               metrics.recovered_records);
  list.gauge("fragments", "Data files of the table's newest version, one for each fragment.",
             metrics.fragments);
  list.gauge("versions", "Versions of the table on disk.", metrics.versions);
  list.durations("compaction_duration_seconds", "Time that a compaction of the table took.",
                 metrics.compaction_duration);
  list.counter("compaction_failures_total", "Compactions that failed.",
               metrics.compaction_failures);
  list.counter("compaction_fragments_merged_total",
               "Fragments that compactions did away with: those before less those after.",
               metrics.compaction_fragments_merged);
  list.counter("compaction_versions_removed_total",
               "Old versions of the table that compactions removed.",
               metrics.compaction_versions_removed);
  list.counter("maintenance_bytes_total", "Bytes that merges in the background wrote.",
               metrics.maintenance_bytes);
  list.gauge("maintenance_running",
             "1 while the table is merged or cleaned up in the background, else 0.",
             metrics.maintenance_running);
  list.gauge("maintenance_paused",
             "1 where the maintenance in the background is paused or switched off, else 0.",
             metrics.maintenance_paused);
  list.counter("schema_changes_total", "Steps of the schema's history since the opening.",
               metrics.schema_changes);
  list.gauge("poisoned", "1 where the log has failed and the bucket takes no more records, else 0.",
             metrics.poisoned);
  return list.take();
}

std::vector<MetricFamily> empty_families() {
  std::vector<MetricFamily> families = to_families(BucketMetrics{}, "", 0, 0);
  for (MetricFamily& family : families) family.samples.clear();
  return families;
}

}  // namespace persisting
