// Queue: a topic cut into buckets, embedded in this process. QueueWriter puts into it, QueueReader reads from it.
// Guarantee: records of one bucket are read in the order of their puts. Between buckets there is no order.
// Threads:   Queue and QueueWriter are thread-safe; a QueueReader belongs to one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "persisting/backend_registry.h"
#include "persisting/bucket_storage.h"
#include "persisting/partition.h"
#include "persisting/storage_manager.h"

namespace persisting {

struct QueueOptions {
  std::string topic;
  std::string bucket_column = "id";  // its value decides a record's bucket
  std::uint32_t num_buckets = 4;
  std::uint64_t batch_size = 100;  // a hint to the backend
  std::string
      storage_path;  // empty: ./queue_storage/{topic}; bucket i lives in {storage_path}/bucket_{i}
  std::string backend = "persisting";
  BackendFactory factory;     // where set: makes the backends, and `backend` only names them
  OptionMap backend_options;  // handed to the backend
};

// Where one record went.
struct PutResult {
  std::uint32_t bucket_id = 0;
  std::uint64_t offset = 0;
};

class Queue {
 public:
  // Checks the options. Buckets are opened when they are first used.
  static Result<std::shared_ptr<Queue>> open(
      QueueOptions options, std::shared_ptr<StorageManager> manager = StorageManager::process());

  // Puts one record. kInvalidArgument where it lacks the bucket column.
  Result<PutResult> put(const Record& record);

  // Puts records, one batch a bucket; results in the order of `records`. Nothing is put where one of them lacks the
  // bucket column. Batches of different buckets succeed or fail apart: an error names the buckets that kept theirs.
  Result<std::vector<PutResult>> put_batch(std::span<const Record> records);

  // Up to `limit` records of one bucket from `offset` on.
  Result<RecordBatch> get(std::uint32_t bucket_id, std::uint64_t limit, std::uint64_t offset);

  // Flushes the buckets that this queue has used.
  Status flush();
  // Of the buckets that this queue has used.
  Result<std::map<std::uint32_t, BackendStats>> stats();

  // Closes the buckets that this queue has used, unless another queue uses them too. Later calls fail with kClosed.
  Status close();

  Result<std::uint32_t> bucket_id(const Value& value) const;
  // Opens the bucket where need be.
  Result<std::shared_ptr<BucketStorage>> bucket(std::uint32_t bucket_id);
  const QueueOptions& options() const { return options_; }

 private:
  Queue(QueueOptions options, BackendFactory factory, std::shared_ptr<StorageManager> manager);
  Result<std::uint32_t> bucket_of(const Record& record, std::size_t index) const;
  std::map<std::uint32_t, std::shared_ptr<BucketStorage>> opened() const;

  const QueueOptions options_;
  const BackendFactory factory_;
  const std::shared_ptr<StorageManager> manager_;

  mutable std::mutex mutex_;
  // Under mutex_.
  std::map<std::uint32_t, std::shared_ptr<BucketStorage>> buckets_;
  bool closed_ = false;
};

class QueueWriter {
 public:
  explicit QueueWriter(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}

  Result<PutResult> put(const Record& record) { return queue_->put(record); }
  Result<std::vector<PutResult>> put_batch(std::span<const Record> records) {
    return queue_->put_batch(records);
  }
  Status flush() { return queue_->flush(); }
  Status close() { return queue_->close(); }

 private:
  const std::shared_ptr<Queue> queue_;
};

class QueueReader {
 public:
  struct Options {
    // The buckets to read. None: those of rank and world_size; without them: all.
    std::optional<std::vector<std::uint32_t>> bucket_ids;
    std::optional<std::uint32_t> rank;
    std::optional<std::uint32_t> world_size;
  };

  struct Wait {
    bool wait = false;  // where there is nothing: wait for a record in any bucket
    std::optional<std::chrono::milliseconds> timeout;  // at most so long; none: for ever
  };

  // kInvalidArgument for a bucket that the queue does not have, both ways of choosing buckets at once, or rank
  // without world_size.
  static Result<QueueReader> open(std::shared_ptr<Queue> queue, Options options);
  static Result<QueueReader> open(std::shared_ptr<Queue> queue) {
    return open(std::move(queue), Options());
  }

  // Up to `limit` records, each bucket from its own offset on, and moves the offsets behind them. The bucket that is asked first
  // changes from call to call, so that a busy one does not starve the others.
  Result<RecordBatch> get(std::uint64_t limit) { return get(limit, Wait()); }
  Result<RecordBatch> get(std::uint64_t limit, const Wait& wait);

  // Back to offset 0 in every bucket.
  void reset();
  // Sets the offset of one bucket, or of all.
  Status set_offset(std::uint64_t offset, std::optional<std::uint32_t> bucket_id = std::nullopt);
  std::uint64_t offset(std::uint32_t bucket_id) const;
  const std::vector<std::uint32_t>& bucket_ids() const { return bucket_ids_; }

 private:
  QueueReader(std::shared_ptr<Queue> queue, std::vector<std::uint32_t> bucket_ids)
      : queue_(std::move(queue)), bucket_ids_(std::move(bucket_ids)) {}
  Result<RecordBatch> take_available(std::uint64_t limit);

  std::shared_ptr<Queue> queue_;
  std::vector<std::uint32_t> bucket_ids_;
  std::map<std::uint32_t, std::uint64_t> offsets_;
  std::size_t turn_ = 0;
};

}  // namespace persisting
