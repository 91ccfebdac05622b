// Reads a stored bucket beside the process that has it open, and follows what that one puts.
//
// What a view shows is what the kernel has of the log, and the table: every record that was acknowledged, and perhaps some that
// are about to be. Such a one is gone again if its write fails or the power is cut before it was acknowledged. A record that
// was put with wal_sync_interval > 0, or that a bucket without a log has not flushed, is as durable as its backend says.
// Guarantee: takes no lock and changes nothing, not even what a crash left. Records come in order, without gaps, with the
//            values that the bucket's own get() gives. Each call shows the bucket as it is at least at its beginning.
// Failure:   kInvalidArgument where the folder is no bucket; kCorruption naming file and byte where something durable is
//            damaged; a write that is not complete yet, or never will be, is none. kUnsupported without a Lance engine and in
//            a forked child.
// Memory:    the records that are in the log and not yet in the table.
// Threads:   thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persisting/record.h"
#include "persisting/result.h"
#include "persisting/schema_change.h"
#include "persisting/storage_backend.h"

namespace persisting {

// What a bucket calls itself.
struct BucketName {
  std::string topic;
  std::uint32_t bucket_id = 0;
};

struct BucketViewStats {
  std::uint64_t total_count = 0;      // records that the view shows
  std::uint64_t persisted_count = 0;  // of these, records in the table
  std::uint64_t buffer_count = 0;     // of these, records in the log alone
  std::uint64_t buffer_bytes = 0;     // their encoded bytes
  std::uint64_t wal_size = 0;         // bytes of the log's segments
  std::uint64_t wal_segments = 0;
  std::uint64_t table_version = 0;  // 0: there is no table yet
  std::uint64_t versions = 0;       // of the table that are kept
  std::uint64_t fragments = 0;      // of that version
  std::uint64_t table_bytes = 0;    // of that version's data files
  std::uint64_t dead_letters = 0;
  std::optional<std::int64_t> holder;  // the process that has the bucket open, if it can be seen
};

class BucketView {
 public:
  BucketView() = default;
  BucketView(const BucketView&) = delete;
  BucketView& operator=(const BucketView&) = delete;
  virtual ~BucketView() = default;

  virtual const std::string& folder() const = 0;
  virtual const BucketName& name() const = 0;

  virtual Result<std::uint64_t> total_count() = 0;
  // As of StorageBackend.
  virtual Result<RecordBatch> get(std::uint64_t limit, std::uint64_t offset) = 0;
  virtual Result<ArrowStreamPtr> get_arrow(std::uint64_t limit, std::uint64_t offset) = 0;
  virtual Result<std::vector<FieldDescription>> schema() = 0;
  virtual Result<std::vector<SchemaChange>> schema_history() = 0;
  virtual Result<RecordBatch> dead_letters(std::uint64_t limit, std::uint64_t offset) = 0;
  virtual Result<BucketViewStats> stats() = 0;

  // Waits until there are more than `offset` records, or the timeout passes (none: for ever). Returns total_count().
  virtual Result<std::uint64_t> wait_beyond(std::uint64_t offset,
                                            std::optional<std::chrono::milliseconds> timeout) = 0;

  // Lets go of everything; ends those who wait. Later calls fail with kClosed. Idempotent.
  virtual void close() = 0;
};

Result<std::shared_ptr<BucketView>> open_view(const std::string& folder);

// What the bucket in `folder` stores of its name; what it does not, or where that is damaged, after its folders: the number
// at the end of its own name, and the name of the one above.
BucketName name_of_bucket(const std::string& folder);

}  // namespace persisting
