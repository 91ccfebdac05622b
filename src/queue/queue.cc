#include "persisting/queue.h"

#include <utility>

namespace persisting {
namespace {

Error invalid(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

}  // namespace

Queue::Queue(QueueOptions options, BackendFactory factory, std::shared_ptr<StorageManager> manager)
    : options_(std::move(options)), factory_(std::move(factory)), manager_(std::move(manager)) {}

Result<std::shared_ptr<Queue>> Queue::open(QueueOptions options,
                                           std::shared_ptr<StorageManager> manager) {
  if (options.topic.empty()) return invalid("a queue needs a topic");
  if (options.bucket_column.empty()) return invalid("bucket_column must name a field");
  if (options.num_buckets == 0) return invalid("num_buckets must be at least 1");
  if (options.storage_path.empty()) options.storage_path = "./queue_storage/" + options.topic;
  BackendFactory factory = options.factory;
  if (!factory) {
    PERSISTING_ASSIGN_OR_RETURN(factory, find_backend(options.backend));
    // What every bucket keeps and compares; a backend of somebody else's gets only its own options.
    options.backend_options.emplace("topic", options.topic);
    options.backend_options.emplace("num_buckets", static_cast<std::int64_t>(options.num_buckets));
    options.backend_options.emplace("bucket_column", options.bucket_column);
  }
  return std::shared_ptr<Queue>(
      new Queue(std::move(options), std::move(factory), std::move(manager)));
}

Result<std::shared_ptr<BucketStorage>> Queue::bucket(std::uint32_t bucket_id) {
  if (bucket_id >= options_.num_buckets) {
    return invalid("bucket " + std::to_string(bucket_id) + " does not exist: topic '" +
                   options_.topic + "' has " + std::to_string(options_.num_buckets));
  }
  {
    const std::lock_guard lock(mutex_);
    if (closed_)
      return make_error(ErrorCode::kClosed, "the queue '" + options_.topic + "' is closed");
    if (const auto found = buckets_.find(bucket_id); found != buckets_.end()) return found->second;
  }
  BackendConfig config;
  config.bucket_id = bucket_id;
  config.storage_path = options_.storage_path + "/bucket_" + std::to_string(bucket_id);
  config.batch_size = options_.batch_size;
  config.options = options_.backend_options;
  PERSISTING_ASSIGN_OR_RETURN(auto bucket,
                              manager_->open_bucket(config, options_.backend, factory_));
  const std::lock_guard lock(mutex_);
  if (closed_)
    return make_error(ErrorCode::kClosed, "the queue '" + options_.topic + "' is closed");
  return buckets_.emplace(bucket_id, std::move(bucket)).first->second;
}

Result<std::uint32_t> Queue::bucket_id(const Value& value) const {
  PERSISTING_ASSIGN_OR_RETURN(const std::string text, partition_text(value));
  return bucket_of_text(text, options_.num_buckets);
}

Result<std::uint32_t> Queue::bucket_of(const Record& record, std::size_t index) const {
  const Result<Value> value = record.get(options_.bucket_column);
  if (!value)
    return invalid("record " + std::to_string(index) + " lacks the bucket column '" +
                   options_.bucket_column + "'");
  Result<std::uint32_t> id = bucket_id(*value);
  if (!id)
    return with_context(
        id.error(), "record " + std::to_string(index) + ", field '" + options_.bucket_column + "'");
  return id;
}

Result<PutResult> Queue::put(const Record& record) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint32_t id, bucket_of(record, 0));
  PERSISTING_ASSIGN_OR_RETURN(const auto storage, bucket(id));
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t offset, storage->backend()->put(record));
  return PutResult{id, offset};
}

Result<std::vector<PutResult>> Queue::put_batch(std::span<const Record> records) {
  std::vector<PutResult> results(records.size());
  std::map<std::uint32_t, RecordBatch> batches;
  for (std::size_t i = 0; i < records.size(); ++i) {
    PERSISTING_ASSIGN_OR_RETURN(results[i].bucket_id, bucket_of(records[i], i));
    RecordBatch& batch = batches[results[i].bucket_id];
    results[i].offset = batch.size();  // within its batch, for now
    batch.add(records[i]);
  }
  std::map<std::uint32_t, std::uint64_t> first_offsets;
  for (auto& [id, batch] : batches) {
    PERSISTING_ASSIGN_OR_RETURN(const auto storage, bucket(id));
    Result<std::uint64_t> first = storage->backend()->put_batch(std::move(batch));
    if (!first) {
      std::string kept;
      for (const auto& [kept_id, offset] : first_offsets)
        kept += (kept.empty() ? "" : ", ") + std::to_string(kept_id);
      return with_context(first.error(), "bucket " + std::to_string(id) +
                                             " refused its records (buckets that kept theirs: " +
                                             (kept.empty() ? "none" : kept) + ")");
    }
    first_offsets[id] = *first;
  }
  for (PutResult& result : results) result.offset += first_offsets[result.bucket_id];
  return results;
}

Result<RecordBatch> Queue::get(std::uint32_t bucket_id, std::uint64_t limit, std::uint64_t offset) {
  PERSISTING_ASSIGN_OR_RETURN(const auto storage, bucket(bucket_id));
  return storage->backend()->get(limit, offset);
}

std::map<std::uint32_t, std::shared_ptr<BucketStorage>> Queue::opened() const {
  const std::lock_guard lock(mutex_);
  return buckets_;
}

Status Queue::flush() {
  for (const auto& [id, storage] : opened()) {
    Status status = storage->backend()->flush();
    if (!status) return with_context(status.error(), "bucket " + std::to_string(id));
  }
  return ok_status();
}

Result<std::map<std::uint32_t, BackendStats>> Queue::stats() {
  std::map<std::uint32_t, BackendStats> all;
  for (const auto& [id, storage] : opened()) {
    PERSISTING_ASSIGN_OR_RETURN(all[id], storage->backend()->stats());
  }
  return all;
}

Status Queue::close() {
  std::map<std::uint32_t, std::shared_ptr<BucketStorage>> buckets;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    buckets.swap(buckets_);
  }
  Status result = ok_status();
  for (auto& [id, storage] : buckets) {
    // The manager keeps no share: we are the last user when the count is one.
    Status status =
        storage.use_count() == 1 ? storage->backend()->close() : storage->backend()->flush();
    if (!status && result) result = with_context(status.error(), "bucket " + std::to_string(id));
  }
  return result;
}

}  // namespace persisting
