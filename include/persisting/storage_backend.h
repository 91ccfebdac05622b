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
#include <string_view>
#include <vector>

#include "persisting/arrow_c_data.h"
#include "persisting/metrics.h"
#include "persisting/record.h"
#include "persisting/record_page.h"
#include "persisting/result.h"
#include "persisting/schema_change.h"

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
  std::vector<MetricFamily> metrics;  // of this backend; none where they are not exported
};

// Receives the first offset of what was put, or why it was refused. Called exactly once, from any
// thread, with no lock of the library held; it must not block, and so not call a blocking put or flush of the
// same backend: that one waits for the thread which makes this call.
using PutCallback = std::function<void(Result<std::uint64_t>)>;
using StatusCallback = std::function<void(Status)>;
using GetCallback = std::function<void(Result<RecordBatch>)>;
using ReadCallback = std::function<void(Result<RecordPagePtr>)>;

// A stream of record batches by the Arrow C stream interface. Whoever takes it over sets release to null.
using ArrowStreamPtr = std::shared_ptr<ArrowArrayStream>;
using GetArrowCallback = std::function<void(Result<ArrowStreamPtr>)>;

// One field of a backend's schema.
struct FieldDescription {
  std::string name;
  std::string type;     // "int64", "list<string>", "vector<float32, 768>": docs/schema-evolution.md
  Value default_value;  // of records that lack the field
};

struct CompactionOptions {
  // Fragments with fewer rows are merged, into ones of about as many; at least 1.
  std::uint64_t target_rows_per_fragment = 1ULL << 20;
  // Called before each merge and after the last one with the number of fragments merged so far and of those to merge, from a
  // thread of the library. May be null; must not block for long, nor call back into the backend.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// What a compaction came to.
struct CompactionReport {
  std::uint64_t fragments_before = 0;
  std::uint64_t fragments_after = 0;
  std::uint64_t versions_removed = 0;
  std::uint64_t bytes_removed = 0;
  std::chrono::nanoseconds duration{0};
};
using CompactionCallback = std::function<void(Result<CompactionReport>)>;

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
    if (const auto offset = try_put(record.encoded())) return *offset;
    RecordBatch batch;
    batch.add(record);
    return put_batch(std::move(batch));
  }

  // Appends one encoded record where that takes no waiting for a disk, and returns its offset. Nothing: it does, or the
  // record is to be refused, or changes the schema; nothing has happened, put_batch() it. Trusts that `record` is one
  // encoded record.
  virtual std::optional<std::uint64_t> try_put(std::string_view /*record*/) { return std::nullopt; }

  // Whether try_put() ever does it.
  virtual bool can_put_at_once() const { return false; }

  // Up to `limit` records from `offset` on; fewer, or none, where the log ends.
  // kOutOfRange below the start of a trimmed log.
  virtual Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) = 0;

  // As get(), for whoever makes other objects of the records than a RecordBatch. The default goes through get().
  virtual Result<RecordPagePtr> read(std::uint64_t limit, std::uint64_t offset);

  // Returns once everything acknowledged before the call is durable in the backend's final store.
  virtual Status flush() = 0;

  virtual Result<BackendStats> stats() = 0;

  // What collect_metrics() tells of this backend, exported or not.
  virtual Result<std::vector<MetricFamily>> get_metrics();

  // Number of records acknowledged; the offset that the next record gets once it is.
  virtual std::uint64_t total_count() const = 0;

  // Flushes and lets go of every resource. Later calls fail with kClosed. Idempotent.
  virtual Status close() = 0;

  // Calls `listener` after every acknowledgement, from any thread. Keep it short; it must not call
  // back into the backend.
  virtual std::unique_ptr<Subscription> subscribe(std::function<void()> listener) = 0;

  // ---- Arrow, schema and dead letters; a backend that has none of them says kUnsupported ----

  // Appends all rows of a struct array, or none, without a detour over single records. Both structs are
  // consumed, also on failure. Returns the offset of the first.
  virtual Result<std::uint64_t> put_arrow(ArrowSchema* schema, ArrowArray* rows);

  // As get(), in Arrow: a column for each field of the schema.
  virtual Result<ArrowStreamPtr> get_arrow(std::uint64_t limit, std::uint64_t offset);

  // What records have had and what was declared, in order of appearance; and how it came to be, oldest first.
  virtual Result<std::vector<FieldDescription>> schema();
  virtual Result<std::vector<SchemaChange>> schema_history();

  // Takes a field out of the schema and of every record put so far. A later record may bring its name anew.
  virtual Status drop_field(const std::string& name);
  virtual Status rename_field(const std::string& name, const std::string& new_name);

  // Up to `limit` records that the policy "dead_letter" kept aside, from the `offset`-th on: each a record of
  // offset (int64), reason (string) and record (bytes: the encoded form of what was put).
  virtual Result<RecordBatch> get_dead_letters(std::uint64_t limit, std::uint64_t offset);

  // Flushes, merges small fragments of the table into large ones, and removes its old versions, but those that a
  // read under way in this process needs. Records, their order and their offsets stay. Puts and reads go on meanwhile,
  // flushes wait. A failure leaves every record where it was; what was merged may be kept. Dead letters are compacted
  // first; the report is of both.
  virtual Result<CompactionReport> compact(const CompactionOptions& options);

  // Where the table is merged and cleaned up in the background: begins nothing more of it until it is resumed; a
  // step under way ends. Both return at once, and do nothing where it is so already. kUnsupported without a table.
  virtual Status pause_maintenance();
  virtual Status resume_maintenance();

  // The same calls for event loops: they return at once where the work would block. The defaults
  // run the blocking call in the caller's thread.
  virtual void put_batch_async(RecordBatch batch, PutCallback done) {
    done(put_batch(std::move(batch)));
  }
  virtual void get_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) {
    done(get(limit, offset));
  }
  virtual void read_async(std::uint64_t limit, std::uint64_t offset, ReadCallback done);
  virtual void flush_async(StatusCallback done) { done(flush()); }
  virtual void compact_async(CompactionOptions options, CompactionCallback done) {
    done(compact(options));
  }
  virtual void close_async(StatusCallback done) { done(close()); }
  virtual void put_arrow_async(ArrowSchema* schema, ArrowArray* rows, PutCallback done) {
    done(put_arrow(schema, rows));
  }
  virtual void get_arrow_async(std::uint64_t limit, std::uint64_t offset, GetArrowCallback done) {
    done(get_arrow(limit, offset));
  }
  virtual void drop_field_async(const std::string& name, StatusCallback done) {
    done(drop_field(name));
  }
  virtual void rename_field_async(const std::string& name, const std::string& new_name,
                                  StatusCallback done) {
    done(rename_field(name, new_name));
  }
  virtual void get_dead_letters_async(std::uint64_t limit, std::uint64_t offset, GetCallback done) {
    done(get_dead_letters(limit, offset));
  }
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
