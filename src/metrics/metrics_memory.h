// Memory for the metrics of a process's buckets, which other processes of its user may read.
// Layout: a memfd named "persisting-metrics": header, then the identities of the buckets, then a slot for each. Nothing of
//         it is ever on a disk: a page that is being written back would stop whoever counts in it. And it goes
//         with its process, also by kill -9.
// Readers find it among the descriptors in /proc of the process that a bucket's LOCK names.
// Failure: where there is no memfd, and beyond max_slots, slots are private memory.
// Threads: MetricsMemory is thread-compatible; slots are cells (metric_cells.h).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "persisting/result.h"

#include "base/posix_handle.h"
#include "metrics/bucket_metrics.h"

namespace persisting {

class MetricsMemory {
 public:
  static constexpr std::uint32_t max_slots = 8192;

  MetricsMemory() = default;
  ~MetricsMemory();
  MetricsMemory(const MetricsMemory&) = delete;
  MetricsMemory& operator=(const MetricsMemory&) = delete;

  // A new slot, all zero, found by others under `identity` (0: by nobody).
  BucketMetrics* allocate(std::uint64_t identity);
  // Nobody else finds it any more.
  void hide(BucketMetrics* slot);
  void release(BucketMetrics* slot);

 private:
  bool is_shared(const BucketMetrics* slot) const;
  bool map();
  std::uint32_t take_slot();
  std::uint32_t index_of(const BucketMetrics* slot) const;

  posix::FileDescriptor descriptor_;
  bool mapping_tried_ = false;
  char* begin_ = nullptr;  // of the mapping; null: there is none
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;  // slots that were ever taken
};

// A copy of the metrics that process `pid` counts for the bucket with `identity`; null where it has no such bucket open, or
// is gone, or may not be looked at. kUnsupported: its version of Persisting lays them out otherwise.
Result<std::unique_ptr<BucketMetrics>> read_metrics_of(std::int64_t pid, std::uint64_t identity);

}  // namespace persisting
