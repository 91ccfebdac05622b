// Metrics of the buckets that are open, in Prometheus' terms: names, base units, labels topic and bucket.
// Counted always, as relaxed stores; exported for buckets opened with enable_metrics, or all after enable_metrics(true).
// Only the duration of puts is measured for exported buckets alone: it needs a clock.
// A bucket's counters begin with its opening and end with its closing. Buckets of one topic and number (in different
// folders) are added up.
// Source:  data model and names by https://prometheus.io/docs/concepts/metric_types/ and .../practices/naming/.
// Threads: thread-safe. The figures of one call may be some nanoseconds apart.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "persisting/result.h"

namespace persisting {

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

struct MetricSample {
  std::map<std::string, std::string> labels;
  double value = 0;  // of a counter or gauge
  // Of a histogram: upper bounds, the last one infinite, and how many observations were at most that.
  std::vector<std::pair<double, std::uint64_t>> buckets;
  double sum = 0;
  std::uint64_t count = 0;
};

struct MetricFamily {
  std::string name;
  std::string help;
  MetricKind kind = MetricKind::kCounter;
  std::vector<MetricSample> samples;
};

// Exports all buckets of the process, those already open too; or again only those that were opened with the option.
void enable_metrics(bool enabled);

// Of every exported bucket that is open in this process. Every family is there, also without a sample.
std::vector<MetricFamily> collect_metrics();

// Of one bucket that any process of this user on this machine has open, exported or not: its counters lie in memory that
// others may map. No family: nobody has it open, or not where this process can look (another user or container).
// kInvalidArgument where the folder is no bucket.
Result<std::vector<MetricFamily>> read_metrics(const std::string& folder);

}  // namespace persisting
