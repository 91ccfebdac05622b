#pragma once

#include "base/metric_cells.h"

namespace persisting {

// What the log counts, where WalOptions names such an object.
struct WalMetrics {
  Histogram sync_duration;  // of each fdatasync, with the folder's where that was due
  Histogram group_commit;   // records of a round
  Gauge size_bytes;         // of all segments
};

}  // namespace persisting
