#include "metrics/metrics_registry.h"

#include <algorithm>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "base/per_process.h"

namespace persisting {
namespace {

// A child inherits its parent's choice.
std::atomic<bool> all_exported{false};

void add_up(const MetricSample& more, MetricSample* sum) {
  sum->value += more.value;
  sum->sum += more.sum;
  sum->count += more.count;
  for (std::size_t i = 0; i < sum->buckets.size(); ++i)
    sum->buckets[i].second += more.buckets[i].second;
}

}  // namespace

void enable_metrics(bool enabled) { all_exported.store(enabled, std::memory_order_relaxed); }

std::vector<MetricFamily> collect_metrics() { return MetricsRegistry::instance().collect(); }

MetricsRegistry& MetricsRegistry::instance() {
  static constinit PerProcess<MetricsRegistry> registry;
  return registry.instance();
}

std::vector<MetricFamily> MetricsRegistry::collect() const {
  std::vector<MetricFamily> all = empty_families();
  const std::int64_t now_us = wall_clock_us();
  const std::lock_guard lock(mutex_);
  for (const MeteredBucket* bucket : buckets_) {
    if (!bucket->is_exported()) continue;
    const MeteredBucket::Description& known = bucket->description();
    std::vector<MetricFamily> families =
        to_families(bucket->cells(), known.topic, known.bucket_id, now_us);
    for (std::size_t i = 0; i < all.size(); ++i) {
      MetricSample& sample = families[i].samples.front();
      const auto same = std::ranges::find(all[i].samples, sample.labels, &MetricSample::labels);
      if (same == all[i].samples.end()) {
        all[i].samples.push_back(std::move(sample));
      } else {
        add_up(sample, &*same);
      }
    }
  }
  return all;
}

MeteredBucket::MeteredBucket(Description description)
    : description_(std::move(description)),
      fork_generation_(fork_generation()),
      cells_([&identity = description_.identity] {
        MetricsRegistry& registry = MetricsRegistry::instance();
        const std::lock_guard lock(registry.mutex_);
        return registry.memory_.allocate(identity);
      }()) {
  if (!description_.listed) return;
  MetricsRegistry& registry = MetricsRegistry::instance();
  const std::lock_guard lock(registry.mutex_);
  registry.buckets_.push_back(this);
}

MeteredBucket::~MeteredBucket() {
  if (fork_generation_ != fork_generation()) return;
  withdraw();
  MetricsRegistry& registry = MetricsRegistry::instance();
  const std::lock_guard lock(registry.mutex_);
  registry.memory_.release(cells_);
}

bool MeteredBucket::is_exported() const {
  return description_.listed &&
         (description_.exported || all_exported.load(std::memory_order_relaxed));
}

void MeteredBucket::withdraw() {
  if (fork_generation_ != fork_generation()) return;
  MetricsRegistry& registry = MetricsRegistry::instance();
  const std::lock_guard lock(registry.mutex_);
  std::erase(registry.buckets_, this);
  registry.memory_.hide(cells_);
}

}  // namespace persisting
