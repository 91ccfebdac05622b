// What a read of a bucket needs, taken under a lock and executed without it: rows of a table snapshot, then slices of a tail.
// Threads: free functions; a plan keeps alive what it names.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "persisting/record.h"
#include "persisting/record_page.h"
#include "persisting/storage_backend.h"

#include "engine/read_ahead.h"
#include "schema/schema.h"
#include "table/table.h"
#include "tail/tail.h"

namespace persisting {

struct ReadPlan {
  SchemaPtr schema;  // that every record is brought to
  std::shared_ptr<const TableSnapshot> snapshot;
  std::uint64_t table_first = 0;
  std::uint64_t table_count = 0;
  std::shared_ptr<ReadAhead> ahead;  // through which the snapshot is read
  std::vector<TailSlice> tail;

  // Whether it needs the disk.
  bool must_wait() const {
    return table_count > 0 && !ahead->holds(*snapshot, table_first, table_count);
  }
  // The rows of the table.
  Status scan(ArrowArrayStream* out) const {
    return ahead->scan(*snapshot, table_first, table_count, out);
  }
};

Result<RecordBatch> run_read(const ReadPlan& plan);
// The same records, still in the form that table and tail have them.
Result<RecordPagePtr> run_page_read(ReadPlan plan);
// The stream holds its arrays: nothing of the bucket is read by whoever takes them.
Result<ArrowStreamPtr> run_arrow_read(const ReadPlan& plan);

}  // namespace persisting
