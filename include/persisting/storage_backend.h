// StorageBackend: the protocol behind which a bucket's records are stored.
// A backend holds one bucket: an append-only sequence of records with dense offsets from 0.
// Guarantee: what a put acknowledged is readable at once, exactly once, in offset order. How durable
//            an acknowledgement is differs between backends; their headers say.
// Failure:   a refused put leaves nothing behind: of a batch either all records are kept or none.
// Threads:   implementations must be thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "persisting/record.h"
#include "persisting/result.h"

namespace persisting {

using OptionMap = std::map<std::string, Value>;

// What a backend is made from: the four arguments of every backend, and its own options by name.
struct BackendConfig {
  std::uint32_t bucket_id = 0;
  // Folder of this bucket. Empty only for backends that keep nothing on disk.
  std::string storage_path;
  // The queue's hint of how many records it hands over at a time; backends may ignore it.
  std::uint64_t batch_size = 100;
  OptionMap options;
};

struct BackendStats {
  std::uint32_t bucket_id = 0;
  std::string backend;
  std::string storage_path;
  std::uint64_t total_count = 0;      // records acknowledged
  std::uint64_t buffer_count = 0;     // of these, records not yet in the table
  std::uint64_t persisted_count = 0;  // of these, records in the table
  // What only some backends have: wal_size (bytes), compression, …
  std::map<std::string, Value> extra;
};

// Receives the first offset of what was put, or why it was refused. Called exactly once, from any
// thread, with no lock of the library held; it must not block, and so not call a blocking put or flush of the
// same backend: that one waits for the thread which makes this call.
using PutCallback = std::function<void(Result<std::uint64_t>)>;
using StatusCallback = std::function<void(Status)>;
using GetCallback = std::function<void(Result<RecordBatch>)>;

// A standing request to be told of new records; ends when it is destroyed. After its destructor
// has returned, the listener is not called any more.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class StorageBackend {
 public:
  StorageBackend() = default;
  StorageBackend(const StorageBackend&) = delete;
  StorageBackend& operator=(const StorageBackend&) = delete;
  // Closes without flushing where close() was not called.
  virtual ~StorageBackend() = default;

  // Appends all records of `batch` in order, or none. Returns the offset of the first.
  virtual Result<std::uint64_t> put_batch(RecordBatch batch) = 0;

  // Appends one record. Returns its offset.
  Result<std::uint64_t> put(const Record& record) {
    RecordBatch batch;
    batch.add(record);
    return put_batch(std::move(batch));
  }

  // Up to `limit` records from `offset` on; fewer, or none, where the log ends.
  // kOutOfRange below the start of a trimmed log.
  virtual Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) = 0;

  // Returns once everything acknowledged before the call is durable in the backend's final store.
  virtual Status flush() = 0;

  virtual Result<BackendStats> stats() = 0;

  // Number of records acknowledged; the offset that the next record gets once it is.
  virtual std::uint64_t total_count() const = 0;

  // Flushes and lets go of every resource. Later calls fail with kClosed. Idempotent.
  virtual Status close() = 0;

  // Calls `listener` after every acknowledgement, from any thread. Keep it short; it must not call
  // back into the backend.
  virtual std::unique_ptr<Subscription> subscribe(std::function<void()> listener) = 0;

  // The same calls for event loops: they return at once where the work would block. The defaults
  // run the blocking call in the caller's thread.
  virtual void put_batch_async(RecordBatch batch, PutCallback done) {
    done(put_batch(std::move(batch)));
  }
  virtual void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) {
    done(get(limit, offset));
  }
  virtual void flush_async(StatusCallback done) { done(flush()); }
  virtual void close_async(StatusCallback done) { done(close()); }
};

class Wakeup;

// Follows a backend's records from an offset on: get_stream of the protocol.
// Threads: thread-compatible; one stream per reader.
class RecordStream {
 public:
  struct Options {
    std::uint64_t limit = UINT64_MAX;  // records in total
    std::uint64_t offset = 0;
    bool wait = false;  // at the end of the log: wait for more
    std::optional<std::chrono::milliseconds>
        timeout;                // longest wait for the next record; none: for ever
    std::uint64_t page = 1000;  // most records in one batch
  };

  RecordStream(std::shared_ptr<StorageBackend> backend, Options options);
  ~RecordStream();
  RecordStream(const RecordStream&) = delete;
  RecordStream& operator=(const RecordStream&) = delete;

  // The next records; empty at the end: the limit is reached, there is nothing more, or waiting timed out.
  Result<RecordBatch> next();

 private:
  std::shared_ptr<StorageBackend> backend_;
  Options options_;
  std::shared_ptr<Wakeup> wakeup_;
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace persisting
