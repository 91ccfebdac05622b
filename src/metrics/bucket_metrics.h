// What is counted of one bucket, and how it is told.
// Layout: cells only, so that a reader in another process of the same version can map it; see metrics_memory.h.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "persisting/metrics.h"

#include "base/metric_cells.h"
#include "wal/wal_metrics.h"

namespace persisting {

struct BucketMetrics {
  // Of what was acknowledged.
  Counter records;
  Counter bytes;  // encoded
  Histogram put_duration;
  Counter rejected_records;
  Counter read_records;
  // What is not in the table yet.
  Gauge buffer_records;  // those too that wait for their acknowledgement
  Gauge buffer_bytes;
  Gauge flush_lag_records;
  Gauge oldest_unflushed_us;  // wall clock of its put; 0: none
  Histogram flush_duration;
  Counter flush_failures;
  WalMetrics wal;
  Gauge recovery_ns;
  Counter recovered_records;
  Gauge fragments;
  Gauge versions;
  Histogram compaction_duration;
  Counter compaction_failures;
  Counter compaction_fragments_merged;
  Counter compaction_versions_removed;
  Counter maintenance_bytes;
  Gauge maintenance_running;  // 0 or 1, as the next
  Gauge maintenance_paused;
  Counter schema_changes;
  Gauge poisoned;
};
static_assert(std::is_standard_layout_v<BucketMetrics>);

// One family for each metric, with one sample. `now_us`: wall clock.
std::vector<MetricFamily> to_families(const BucketMetrics& metrics, const std::string& topic,
                                      std::uint32_t bucket_id, std::int64_t now_us);

// The same families without samples.
std::vector<MetricFamily> empty_families();

}  // namespace persisting
