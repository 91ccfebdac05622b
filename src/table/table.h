// The table port: what a bucket needs of the columnar store behind it.
// A table holds the records [first_offset, end_offset) of one bucket, a row each, in offset order, with the system
// columns _offset (uint64) and _ts (timestamp[us, UTC]) before the record's own.
// Arrow data crosses as C Data Interface structs, declared here and defined by whoever includes nanoarrow.
// Guarantee: every version that append() or rewrite() returned is durable, contents and names.
// Failure:   component kTable. After a failed append or rewrite the table is as before, or holds one version more
//            that the next open accepts or sets aside; never half a one.
// Threads:   Table: one caller at a time. TableSnapshot: thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persisting/result.h"

#include "base/file_digest.h"

struct ArrowSchema;
struct ArrowArrayStream;

namespace persisting {

// One version of a table, open for reading as long as the object lives.
class TableSnapshot {
 public:
  virtual ~TableSnapshot() = default;
  virtual std::uint64_t version() const = 0;
  virtual std::uint64_t rows() const = 0;
  // Fills `out` with the schema (a struct type); the caller releases it.
  virtual Status schema(ArrowSchema* out) const = 0;
  // Rows [row, row + count) in order, all columns; fewer where the table ends. The caller releases the stream.
  virtual Status scan(std::uint64_t row, std::uint64_t count, ArrowArrayStream* out) const = 0;
};

// One file with rows of a version.
struct TableFile {
  std::string name;  // below the folder of the table's data
  FileDigest digest;
  bool operator==(const TableFile&) const = default;
};

// What is remembered about a durable version, so that the next open can tell it from a damaged one. version 0:
// there is no table yet.
struct TableVersion {
  std::uint64_t version = 0;
  FileDigest manifest;
  std::vector<TableFile> files;
  bool operator==(const TableVersion&) const = default;
};

// Describes the rows of an append, for the version's own record of them.
struct AppendSummary {
  std::uint64_t first_offset = 0;
  std::uint64_t rows = 0;
};

class Table {
 public:
  virtual ~Table() = default;

  // The newest durable version; null while there is none.
  virtual std::shared_ptr<const TableSnapshot> snapshot() const = 0;
  virtual const TableVersion& version() const = 0;

  // Adds the rows of `stream` (consumed). Its columns must be among the table's; the first append makes the table.
  virtual Status append(ArrowArrayStream* stream, const AppendSummary& summary) = 0;

  // Adds nullable columns (`columns`: a struct schema, consumed) that read as null in every row so far.
  virtual Status add_columns(ArrowSchema* columns) = 0;

  // Replaces schema and rows by those of `stream` (consumed) in one version.
  virtual Status rewrite(ArrowArrayStream* stream) = 0;
};

// What to do with versions newer than the known one that look whole. Those that do not are always set aside.
enum class NewerVersions : std::uint8_t { kAccept, kSetAside };

// Opens the table in folder `path`. `known` is the version of the last checkpoint. What is set aside goes to `path`'s
// sibling folder "quarantine"; a `known` version that is not whole is kCorruption.
using TableOpener = std::function<Result<std::unique_ptr<Table>>(
    const std::string& path, const TableVersion& known, NewerVersions newer)>;

}  // namespace persisting
