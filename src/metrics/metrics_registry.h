// The metrics of this process's open buckets.
// Threads: thread-safe. Cells: see metric_cells.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "persisting/metrics.h"

#include "metrics/bucket_metrics.h"
#include "metrics/metrics_memory.h"

namespace persisting {

// One bucket's metrics, held by its engine. In a forked child it does nothing any more.
class MeteredBucket {
 public:
  struct Description {
    std::string topic;
    std::uint32_t bucket_id = 0;
    std::uint64_t identity = 0;  // under which other processes find it; 0: not at all
    bool exported = false;       // whatever the process-wide switch says
    bool listed = true;          // false: never exported
  };
  explicit MeteredBucket(Description description);
  ~MeteredBucket();
  MeteredBucket(const MeteredBucket&) = delete;
  MeteredBucket& operator=(const MeteredBucket&) = delete;

  BucketMetrics& cells() const { return *cells_; }
  const Description& description() const { return description_; }
  bool is_exported() const;

  // The bucket is closed: nobody is to see it any more. What is still under way may go on counting.
  void withdraw();

 private:
  const Description description_;
  const std::uint64_t fork_generation_;
  BucketMetrics* const cells_;
};

class MetricsRegistry {
 public:
  static MetricsRegistry& instance();

  std::vector<MetricFamily> collect() const;

 private:
  friend class MeteredBucket;

  mutable std::mutex mutex_;
  // Under mutex_.
  MetricsMemory memory_;
  std::vector<const MeteredBucket*> buckets_;
};

}  // namespace persisting
