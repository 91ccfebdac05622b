// The three backends: options into an engine, and StorageBackend over it.
#include "persisting/backends.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clocks.h"
#include "base/fork_generation.h"
#include "engine/backend_options.h"
#include "engine/bucket_engine_parts.h"
#include "engine/engine_registry.h"
#include "engine/field_description.h"
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
      : engine_(std::make_unique<std::shared_ptr<BucketEngine>>(lease->engine())),
        lease_(std::move(lease)) {}
  ~EngineBackend() override {
    if (is_child()) (void)engine_.release();
  }
  EngineBackend(const EngineBackend&) = delete;
  EngineBackend& operator=(const EngineBackend&) = delete;

  Result<std::uint64_t> put_batch(RecordBatch batch) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->put_batch(std::move(batch));
  }
  void put_batch_async(RecordBatch batch, PutCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->put_batch_async(std::move(batch), std::move(done));
  }
  std::optional<std::uint64_t> try_put(std::string_view record) override {
    // A share of the lease would cost as much as the put. An engine whose leases have ended refuses it.
    if (is_child() || is_closed_.load(std::memory_order_acquire)) return std::nullopt;
    return engine().try_put(record);
  }
  bool can_put_at_once() const override { return engine().can_put_at_once(); }
  Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->get(limit, offset);
  }
  void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->get_async(limit, offset, std::move(done));
  }
  Result<RecordPagePtr> read(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->read(limit, offset);
  }
  void read_async(std::uint64_t limit, std::uint64_t offset, ReadCallback done) override {
    auto lease = this->lease();
    if (!lease) return done(std::move(lease).error());
    (*lease)->engine()->read_async(limit, offset, std::move(done));
  }
  Result<std::uint64_t> put_arrow(ArrowSchema* schema, ArrowArray* rows) override {
    const auto lease = this->lease();
    if (!lease) {
      (void)StorageBackend::put_arrow(schema, rows);  // consumes both
      return lease.error();
    }
    return (*lease)->engine()->put_arrow(schema, rows);
  }
  void put_arrow_async(ArrowSchema* schema, ArrowArray* rows, PutCallback done) override {
    const auto lease = this->lease();
    if (!lease) {
      (void)StorageBackend::put_arrow(schema, rows);
      return done(lease.error());
    }
    (*lease)->engine()->put_arrow_async(schema, rows, std::move(done));
  }
  Result<ArrowStreamPtr> get_arrow(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->get_arrow(limit, offset);
  }
  void get_arrow_async(std::uint64_t limit, std::uint64_t offset, GetArrowCallback done) override {
    const auto lease = this->lease();
    if (!lease) return done(lease.error());
    (*lease)->engine()->get_arrow_async(limit, offset, std::move(done));
  }
  Result<std::vector<FieldDescription>> schema() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    PERSISTING_ASSIGN_OR_RETURN(const SchemaPtr schema, lease->engine()->schema());
    return describe_fields(*schema);
  }
  Result<std::vector<SchemaChange>> schema_history() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    PERSISTING_ASSIGN_OR_RETURN(const SchemaPtr schema, lease->engine()->schema());
    return schema->history();
  }
  Status drop_field(const std::string& name) override {
    Waiter<Status> waiter;
    drop_field_async(name, waiter.callback());
    return waiter.wait();
  }
  void drop_field_async(const std::string& name, StatusCallback done) override {
    const auto lease = this->lease();
    if (!lease) return done(lease.error());
    (*lease)->engine()->drop_field_async(name, std::move(done));
  }
  Status rename_field(const std::string& name, const std::string& new_name) override {
    Waiter<Status> waiter;
    rename_field_async(name, new_name, waiter.callback());
    return waiter.wait();
  }
  void rename_field_async(const std::string& name, const std::string& new_name,
                          StatusCallback done) override {
    const auto lease = this->lease();
    if (!lease) return done(lease.error());
    (*lease)->engine()->rename_field_async(name, new_name, std::move(done));
  }
  Result<RecordBatch> get_dead_letters(std::uint64_t limit, std::uint64_t offset) override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    const auto& letters = lease->engine()->dead_letters();
    return letters == nullptr ? RecordBatch() : letters->get(limit, offset);
  }
  void get_dead_letters_async(std::uint64_t limit, std::uint64_t offset,
                              GetCallback done) override {
    const auto lease = this->lease();
    if (!lease) return done(lease.error());
    const auto& letters = (*lease)->engine()->dead_letters();
    if (letters == nullptr) return done(RecordBatch());
    letters->get_async(limit, offset, std::move(done));
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
  Result<CompactionReport> compact(const CompactionOptions& options) override {
    Waiter<Result<CompactionReport>> waiter;
    compact_async(options, waiter.callback());
    return waiter.wait();
  }
  void compact_async(CompactionOptions options, CompactionCallback done) override {
    const auto lease = this->lease();
    if (!lease) return done(lease.error());
    (*lease)->engine()->compact_async(std::move(options), std::move(done));
  }
  Status pause_maintenance() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->pause_maintenance();
  }
  Status resume_maintenance() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->resume_maintenance();
  }
  Result<BackendStats> stats() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->stats();
  }
  Result<std::vector<MetricFamily>> get_metrics() override {
    PERSISTING_ASSIGN_OR_RETURN(const auto lease, this->lease());
    return lease->engine()->get_metrics();
  }
  std::uint64_t total_count() const override {
    return is_closed_.load(std::memory_order_acquire) ? last_count_.load() : engine().total_count();
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
    is_closed_.store(true, std::memory_order_release);
    BucketEngine& engine = *lease->engine();
    engine.flush_async([lease = std::move(lease), done = std::move(done)](Status status) mutable {
      const std::string folder = lease->engine()->options().folder;
      lease.reset();
      EngineRegistry::instance().when_released(
          folder, [done = std::move(done), status = std::move(status)] { done(status); });
    });
  }

 private:
  BucketEngine& engine() const { return **engine_; }

  // A thread of the parent may have held the lock when the child was made.
  bool is_child() const { return fork_generation_ != fork_generation(); }

  Result<std::shared_ptr<EngineLease>> lease() const {
    if (is_child()) return forked_error();
    const std::lock_guard lock(mutex_);
    if (lease_ == nullptr) return handle_closed();
    return lease_;
  }

  const std::uint64_t fork_generation_ = fork_generation();
  // Only its memory: the lease keeps it open. On the heap, so that a child can leak it.
  std::unique_ptr<std::shared_ptr<BucketEngine>> engine_;

  mutable std::mutex mutex_;
  std::shared_ptr<EngineLease> lease_;  // under mutex_; null once closed
  std::atomic<bool> is_closed_{false};
  std::atomic<std::uint64_t> last_count_{0};
  Subscribers closed_subscribers_;  // never notified
};

Result<std::shared_ptr<StorageBackend>> open_backend(const EngineOptions& options) {
  PERSISTING_ASSIGN_OR_RETURN(auto lease,
                              EngineRegistry::instance().open(options, default_environment()));
  return std::shared_ptr<StorageBackend>(std::make_shared<EngineBackend>(std::move(lease)));
}

Result<ConflictPolicy> parse_policy(const std::string& backend, const std::string& name) {
  if (name == "reject") return ConflictPolicy::kReject;
  if (name == "dead_letter") return ConflictPolicy::kDeadLetter;
  if (name == "stringify") return ConflictPolicy::kStringify;
  return make_error(
      ErrorCode::kInvalidArgument,
      backend + " option 'on_conflict' must be 'reject', 'dead_letter' or 'stringify', not '" +
          name + "'");
}

Status read_schema_options(EngineOptions* options, OptionReader* reader) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string policy, reader->text("on_conflict", "reject"));
  PERSISTING_ASSIGN_OR_RETURN(options->admission.on_conflict,
                              parse_policy(reader->backend(), policy));
  PERSISTING_ASSIGN_OR_RETURN(const std::string refuse, reader->text("refuse", "batch"));
  if (refuse != "batch" && refuse != "record") {
    return make_error(
        ErrorCode::kInvalidArgument,
        reader->backend() + " option 'refuse' must be 'batch' or 'record', not '" + refuse + "'");
  }
  options->admission.refuse_single_records = refuse == "record";
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<Struct> types, reader->members("schema"));
  if (types) {
    PERSISTING_ASSIGN_OR_RETURN(options->declaration, parse_schema_option(*types));
  }
  PERSISTING_ASSIGN_OR_RETURN(const std::optional<Struct> defaults, reader->members("defaults"));
  if (defaults) options->declaration.defaults = *defaults;
  return ok_status();
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
  PERSISTING_ASSIGN_OR_RETURN(options.metrics, reader->boolean("enable_metrics", false));
  PERSISTING_RETURN_IF_ERROR(read_schema_options(&options, reader));
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
  PERSISTING_ASSIGN_OR_RETURN(const auto slow_flush,
                              reader->seconds("slow_flush", options.slow_flush));
  options.slow_flush = std::chrono::duration_cast<std::chrono::milliseconds>(slow_flush);
  PERSISTING_ASSIGN_OR_RETURN(options.max_buffer_bytes,
                              reader->integer("max_buffer_bytes", options.max_buffer_bytes, 1));
  PERSISTING_ASSIGN_OR_RETURN(options.maintenance.enabled, reader->boolean("maintenance", true));
  PERSISTING_ASSIGN_OR_RETURN(
      options.maintenance.bytes_per_second,
      reader->integer("maintenance_bytes_per_second", options.maintenance.bytes_per_second, 0));
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
  environment.now_us = wall_clock_us;
  return environment;
}

Result<std::shared_ptr<StorageBackend>> MemoryBackend::open(const BackendConfig& config) {
  OptionReader reader("MemoryBackend", config.options);
  PERSISTING_ASSIGN_OR_RETURN(EngineOptions options, common_options("memory", config, &reader));
  reader.warn_about_unknown();
  options.topic.topic = topic_name(options.topic, options.folder);
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
  reader.warn_about_unknown();
  return open_backend(options);
}

}  // namespace persisting
