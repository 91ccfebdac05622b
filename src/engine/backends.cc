// The three backends: options into an engine, and StorageBackend over it.
#include "persisting/backends.h"

#include <chrono>
#include <mutex>
#include <utility>

#include "base/fork_generation.h"
#include "engine/backend_options.h"
#include "engine/bucket_engine_parts.h"
#include "engine/engine_registry.h"
#include "table/default_format.h"

namespace persisting {
namespace {

Error handle_closed() {
  return make_error(ErrorCode::kClosed, "the backend is closed; open it again");
}

// A StorageBackend over a share of an engine. Closing it ends the share; the engine ends with its last share.
class EngineBackend : public StorageBackend {
 public:
  explicit EngineBackend(std::shared_ptr<EngineLease> lease)
      : lease_(std::move(lease)), open_engine_(lease_->engine().get()) {}

  Result<std::uint64_t> put_batch(RecordBatch batch) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->put_batch(std::move(batch));
  }
  void put_batch_async(RecordBatch batch, PutCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->put_batch_async(std::move(batch), std::move(done));
  }
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->get(limit, offset);
  }
  void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->get_async(limit, offset, std::move(done));
  }
  Status flush() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->flush();
  }
  void flush_async(StatusCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->flush_async(std::move(done));
  }
  Result<BackendStats> stats() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->stats();
  }
  std::uint64_t total_count() const override {
    if (is_child()) {  // what it was at the fork, without the lock
      const BucketEngine* const engine = open_engine_.load();
      return engine != nullptr ? engine->total_count() : last_count_.load();
    }
    const auto lease = this->lease();
    return lease ? (*lease)->engine()->total_count() : last_count_.load();
  }
  std::unique_ptr<Subscription> subscribe(std::function<void()> listener) override {
    const auto lease = this->lease();
    if (!lease) return closed_subscribers_.add(std::move(listener));
    return (*lease)->engine()->subscribe(std::move(listener));
  }

  Status close() override {
    Waiter<Status> waiter;
    close_async(waiter.callback());
    return waiter.wait();
  }
  void close_async(StatusCallback done) override {
    if (is_child()) return done(forked_error());
    std::shared_ptr<EngineLease> lease;
    {
      const std::lock_guard lock(mutex_);
      lease.swap(lease_);
    }
    if (lease == nullptr) return done(ok_status());
    last_count_ = lease->engine()->total_count();
    open_engine_ = nullptr;
    BucketEngine& engine = *lease->engine();
    engine.flush_async([lease = std::move(lease), done = std::move(done)](Status status) mutable {
      const std::string folder = lease->engine()->options().folder;
      lease.reset();
      EngineRegistry::instance().when_released(
          folder, [done = std::move(done), status = std::move(status)] { done(status); });
    });
  }

 private:
  // A thread of the parent may have held the lock when the child was made.
  bool is_child() const { return fork_generation_ != fork_generation(); }

  Result<std::shared_ptr<EngineLease>> lease() const {
    if (is_child()) return forked_error();
    const std::lock_guard lock(mutex_);
    if (lease_ == nullptr) return handle_closed();
    return lease_;
  }

  const std::uint64_t fork_generation_ = fork_generation();

  mutable std::mutex mutex_;
  std::shared_ptr<EngineLease> lease_;  // under mutex_; null once closed
  std::atomic<const BucketEngine*> open_engine_;
  std::atomic<std::uint64_t> last_count_{0};
  Subscribers closed_subscribers_;  // never notified
};

Result<std::shared_ptr<StorageBackend>> open_backend(const EngineOptions& options) {
  PERSISTING_ASSIGN_OR_RETURN(auto lease,
                              EngineRegistry::instance().open(options, default_environment()));
  return std::shared_ptr<StorageBackend>(std::make_shared<EngineBackend>(std::move(lease)));
}

Result<EngineOptions> common_options(std::string backend, const BackendConfig& config,
                                     OptionReader* reader) {
  EngineOptions options;
  options.backend = std::move(backend);
  options.bucket_id = config.bucket_id;
  options.folder = config.storage_path;
  PERSISTING_ASSIGN_OR_RETURN(options.topic.topic, reader->text("topic", ""));
  PERSISTING_ASSIGN_OR_RETURN(options.topic.num_buckets, reader->integer("num_buckets", 0, 0));
  PERSISTING_ASSIGN_OR_RETURN(options.topic.bucket_column, reader->text("bucket_column", ""));
  return options;
}

// The options of both durable backends.
Result<EngineOptions> table_options(std::string backend, const BackendConfig& config,
                                    std::uint64_t flush_records, OptionReader* reader) {
  if (config.storage_path.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      backend + " needs a storage_path: the folder of its bucket");
  }
  if (!table_format().open) {
    return make_error(
        ErrorCode::kUnsupported,
        backend +
            " needs a Lance engine and none is registered; import persisting in Python, or call "
            "persisting::register_lance_engine");
  }
  PERSISTING_ASSIGN_OR_RETURN(EngineOptions options,
                              common_options(std::move(backend), config, reader));
  options.has_table = true;
  PERSISTING_ASSIGN_OR_RETURN(options.flush.records,
                              reader->integer("flush_threshold", flush_records, 1));
  PERSISTING_ASSIGN_OR_RETURN(options.flush.bytes,
                              reader->integer("flush_bytes", options.flush.bytes, 1));
  PERSISTING_ASSIGN_OR_RETURN(const auto interval,
                              reader->seconds("flush_interval", options.flush.interval));
  options.flush.interval = std::chrono::duration_cast<std::chrono::milliseconds>(interval);
  PERSISTING_ASSIGN_OR_RETURN(options.max_buffer_bytes,
                              reader->integer("max_buffer_bytes", options.max_buffer_bytes, 1));
  PERSISTING_ASSIGN_OR_RETURN(options.allow_network_storage,
                              reader->boolean("allow_network_storage", false));
  return options;
}

Result<Compression> parse_compression(const std::string& name) {
  for (const Compression codec :
       {Compression::kNone, Compression::kZstd, Compression::kLz4, Compression::kSnappy}) {
    if (name == name_of(codec)) return codec;
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      "PersistingBackend option 'compression' must be None, 'zstd', 'lz4' or 'snappy', not '" +
          name + "'");
}

}  // namespace

EngineEnvironment default_environment() {
  EngineEnvironment environment;
  environment.open_table = table_format().open;
  environment.now_us = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  return environment;
}

Result<std::shared_ptr<StorageBackend>> MemoryBackend::open(const BackendConfig& config) {
  OptionReader reader("MemoryBackend", config.options);
  PERSISTING_ASSIGN_OR_RETURN(EngineOptions options, common_options("memory", config, &reader));
  reader.warn_about_unknown();
  options.folder.clear();  // it keeps nothing on disk, and two of them share nothing
  return open_backend(options);
}

Result<std::shared_ptr<StorageBackend>> LanceBackend::open(const BackendConfig& config) {
  OptionReader reader("LanceBackend", config.options);
  PERSISTING_ASSIGN_OR_RETURN(const EngineOptions options,
                              table_options("lance", config, 1000, &reader));
  reader.warn_about_unknown();
  return open_backend(options);
}

Result<std::shared_ptr<StorageBackend>> PersistingBackend::open(const BackendConfig& config) {
  OptionReader reader("PersistingBackend", config.options);
  PERSISTING_ASSIGN_OR_RETURN(EngineOptions options,
                              table_options("persisting", config, 0, &reader));
  PERSISTING_ASSIGN_OR_RETURN(options.has_wal, reader.boolean("enable_wal", true));
  PERSISTING_ASSIGN_OR_RETURN(options.wal_sync_interval,
                              reader.seconds("wal_sync_interval", std::chrono::microseconds(0)));
  PERSISTING_ASSIGN_OR_RETURN(options.max_wal_bytes,
                              reader.integer("max_wal_size", options.max_wal_bytes, 4096));
  PERSISTING_ASSIGN_OR_RETURN(const std::string compression, reader.text("compression", "none"));
  PERSISTING_ASSIGN_OR_RETURN(options.compression, parse_compression(compression));
  PERSISTING_ASSIGN_OR_RETURN(options.metrics, reader.boolean("enable_metrics", false));
  reader.warn_about_unknown();
  return open_backend(options);
}

}  // namespace persisting
