// The metrics of this process's buckets for prometheus-cpp.
// Optional: wants prometheus-cpp, and is used by linking the target persisting::prometheus.
//
//   auto metrics = std::make_shared<persisting::MetricsCollectable>();
//   prometheus::Exposer exposer("127.0.0.1:9464");
//   exposer.RegisterCollectable(metrics);  // keeps a weak_ptr: hold on to `metrics`
//
// Guarantee: each collection reads every bucket anew; names and values are those of
//            persisting/metrics.h.
// Failure:   nothing here fails; without a bucket that has its metrics on there are no samples.
// Threads:   thread-safe.
// Elsewhere: switching the metrics on, in persisting/metrics.h.
#pragma once

#include <utility>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include "persisting/metrics.h"

namespace persisting {

// Returns the family in the form of prometheus-cpp.
inline prometheus::MetricFamily to_prometheus(MetricFamily family) {
  prometheus::MetricFamily result;
  result.name = std::move(family.name);
  result.help = std::move(family.help);
  switch (family.kind) {
    case MetricKind::kCounter:
      result.type = prometheus::MetricType::Counter;
      break;
    case MetricKind::kGauge:
      result.type = prometheus::MetricType::Gauge;
      break;
    case MetricKind::kHistogram:
      result.type = prometheus::MetricType::Histogram;
      break;
  }
  result.metric.reserve(family.samples.size());
  for (const MetricSample& sample : family.samples) {
    prometheus::ClientMetric& metric = result.metric.emplace_back();
    for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
    switch (family.kind) {
      case MetricKind::kCounter:
        metric.counter.value = sample.value;
        break;
      case MetricKind::kGauge:
        metric.gauge.value = sample.value;
        break;
      case MetricKind::kHistogram:
        metric.histogram.sample_count = sample.count;
        metric.histogram.sample_sum = sample.sum;
        for (const auto& [bound, count] : sample.buckets) {
          metric.histogram.bucket.push_back({count, bound});
        }
        break;
    }
  }
  return result;
}

// Hands the metrics of all open buckets to a registry or an exposer of prometheus-cpp.
class MetricsCollectable : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> result;
    for (MetricFamily& family : collect_metrics()) {
      result.push_back(to_prometheus(std::move(family)));
    }
    return result;
  }
};

}  // namespace persisting
