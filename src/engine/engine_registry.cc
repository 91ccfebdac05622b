#include "engine/engine_registry.h"

#include <cassert>
#include <filesystem>
#include <optional>
#include <utility>

#include "persisting/log.h"

#include "base/fork_generation.h"
#include "base/per_process.h"

namespace persisting {
namespace {

std::string key_of(const std::string& folder) {
  std::error_code ignored;  // a path that cannot be resolved yet is its own key
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(folder, ignored);
  return ignored ? folder : resolved.lexically_normal().string();
}

// The name of the first option that differs, with both values; nothing where the options agree.
std::optional<std::string> difference(const EngineOptions& open, const EngineOptions& asked) {
  const auto text = [](const auto& value) {
    if constexpr (std::is_convertible_v<decltype(value), std::string>) {
      return "'" + std::string(value) + "'";
    } else {
      return std::to_string(value);
    }
  };
  const auto differs = [&text](const char* name, const auto& a,
                               const auto& b) -> std::optional<std::string> {
    if (a == b) return std::nullopt;
    return std::string(name) + " " + text(a) + ", now asked for " + text(b);
  };
  if (auto found = differs("backend", open.backend, asked.backend)) return found;
  if (auto found = differs("bucket_id", open.bucket_id, asked.bucket_id)) return found;
  if (auto found = differs("enable_wal", open.has_wal, asked.has_wal)) return found;
  if (auto found = differs("wal_sync_interval (µs)", open.wal_sync_interval.count(),
                           asked.wal_sync_interval.count())) {
    return found;
  }
  if (auto found = differs("max_wal_size", open.max_wal_bytes, asked.max_wal_bytes)) return found;
  if (auto found = differs("compression", static_cast<int>(open.compression),
                           static_cast<int>(asked.compression))) {
    return found;
  }
  if (auto found = differs("flush_threshold", open.flush.records, asked.flush.records))
    return found;
  if (auto found = differs("flush_bytes", open.flush.bytes, asked.flush.bytes)) return found;
  if (auto found =
          differs("flush_interval (ms)", open.flush.interval.count(), asked.flush.interval.count()))
    return found;
  if (auto found = differs("max_buffer_bytes", open.max_buffer_bytes, asked.max_buffer_bytes))
    return found;
  if (auto found = differs("maintenance", open.maintenance.enabled, asked.maintenance.enabled))
    return found;
  if (auto found = differs("maintenance_bytes_per_second", open.maintenance.bytes_per_second,
                           asked.maintenance.bytes_per_second))
    return found;
  if (auto found = differs("on_conflict", static_cast<int>(open.admission.on_conflict),
                           static_cast<int>(asked.admission.on_conflict))) {
    return found;
  }
  if (auto found = differs("refuse (single records)", open.admission.refuse_single_records,
                           asked.admission.refuse_single_records)) {
    return found;
  }
  if (auto found = differs("enable_metrics", open.metrics, asked.metrics)) return found;
  if (open.declaration != asked.declaration) return "another schema or other defaults";
  if (asked.topic.num_buckets != 0 && open.topic.num_buckets != 0) {
    if (auto found = differs("num_buckets", open.topic.num_buckets, asked.topic.num_buckets))
      return found;
  }
  if (!asked.topic.topic.empty() && !open.topic.topic.empty()) {
    if (auto found = differs("topic", open.topic.topic, asked.topic.topic)) return found;
  }
  if (!asked.topic.bucket_column.empty() && !open.topic.bucket_column.empty()) {
    if (auto found = differs("bucket_column", open.topic.bucket_column, asked.topic.bucket_column))
      return found;
  }
  return std::nullopt;
}

}  // namespace

EngineLease::EngineLease(std::shared_ptr<BucketEngine> engine, std::string key)
    : engine_(std::make_unique<std::shared_ptr<BucketEngine>>(std::move(engine))),
      key_(std::move(key)),
      fork_generation_(fork_generation()) {}

EngineLease::~EngineLease() {
  if (fork_generation_ == fork_generation()) {
    EngineRegistry::instance().release(key_, *engine_);
  } else {
    // The engine's locks, threads and files are the parent's: nothing of it may run here, not even its end.
    (void)engine_.release();
  }
}

EngineRegistry& EngineRegistry::instance() {
  static constinit PerProcess<EngineRegistry> registry;
  return registry.instance();
}

Result<std::shared_ptr<EngineLease>> EngineRegistry::open(const EngineOptions& options,
                                                          const EngineEnvironment& environment) {
  if (options.folder.empty()) {
    PERSISTING_ASSIGN_OR_RETURN(auto engine, BucketEngine::open(options, environment));
    return std::make_shared<EngineLease>(std::move(engine), "");
  }
  const std::string key = key_of(options.folder);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const auto entry = entries_.find(key);
    return entry == entries_.end() || entry->second.state == State::kOpen;
  });
  if (const auto entry = entries_.find(key); entry != entries_.end()) {
    if (const auto differs = difference(entry->second.engine->options(), options)) {
      return make_error(ErrorCode::kInvalidArgument,
                        options.folder + " is already open in this process with " + *differs +
                            "; use the same options, or close it first");
    }
    ++entry->second.leases;
    return std::make_shared<EngineLease>(entry->second.engine, key);
  }
  entries_[key];  // kOpening: others wait
  lock.unlock();
  Result<std::shared_ptr<BucketEngine>> engine = BucketEngine::open(options, environment);
  lock.lock();
  if (engine) {
    entries_[key] = Entry{State::kOpen, *engine, 1, {}};
  } else {
    entries_.erase(key);
  }
  changed_.notify_all();
  if (!engine) return std::move(engine).error();
  return std::make_shared<EngineLease>(std::move(engine).value(), key);
}

void EngineRegistry::release(const std::string& key, const std::shared_ptr<BucketEngine>& engine) {
  const std::unique_lock lock(mutex_);
  if (!key.empty()) {
    const auto entry = entries_.find(key);
    assert(entry != entries_.end() && entry->second.engine == engine);
    if (--entry->second.leases > 0) return;
    entry->second.state = State::kClosing;
  }
  engine->end_metering();  // who has closed a bucket is not to meet it in the next scrape
  Executors::instance().flush.submit([this, key, engine] {
    if (const Status status = engine->shut_down(); !status) {
      log(LogLevel::kError, engine->options().folder + ": closing: " + status.error().message);
    }
    std::vector<std::function<void()>> when_released;
    {
      const std::lock_guard relock(mutex_);
      const auto entry = entries_.find(key);
      if (entry != entries_.end()) {
        when_released = std::move(entry->second.when_released);
        entries_.erase(entry);
      }
      changed_.notify_all();
    }
    for (const auto& done : when_released) done();
  });
}

void EngineRegistry::when_released(const std::string& folder, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    const auto entry = folder.empty() ? entries_.end() : entries_.find(key_of(folder));
    if (entry != entries_.end() && entry->second.state == State::kClosing) {
      entry->second.when_released.push_back(std::move(done));
      return;
    }
  }
  done();
}

}  // namespace persisting
