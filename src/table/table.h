// The table port: what a bucket needs of the columnar store behind it.
// A table holds the records [first_offset, end_offset) of one bucket, a row each, in offset order, with the system
// columns _offset (uint64) and _ts (timestamp[us, UTC]) before the record's own.
// Arrow data crosses as C Data Interface structs, declared here and defined by whoever includes nanoarrow.
// Guarantee: every version that a change returned is durable, contents and names.
// Failure:   component kTable. After a failed change the table is as before, or holds one version more
//            that the next open accepts or sets aside; never half a one.
// Threads:   Table: one caller at a time. TableSnapshot: thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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

// What compact() is to do.
struct TableCompaction {
  // Fragments with fewer rows are merged, into ones of about as many; at least 1.
  std::uint64_t target_rows = 0;
  // Called before each merge and after the last one, with the number of fragments merged so far and of those to merge. An
  // error ends the compaction with it. May be null.
  std::function<Status(std::uint64_t done, std::uint64_t total)> progress;
};

// Pieces that a version's rows lie in, before and after.
struct CompactedFragments {
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};

struct RemovedVersions {
  std::uint64_t versions = 0;
  std::uint64_t bytes = 0;
};

// A merge of neighbouring small fragments whose rows are written beside other changes of the table.
// Ends without a trace, but for what commit_merge() has committed.
// Threads: thread-compatible; needs nothing of its table, which may go before it.
class TableMerge {
 public:
  virtual ~TableMerge() = default;
  // Writes the merged rows, durably, without any version naming them. False: there is nothing to merge. Called once.
  virtual Result<bool> write() = 0;
  // That write() wrote.
  virtual std::uint64_t bytes() const = 0;
};

class Table {
 public:
  virtual ~Table() = default;

  // The newest durable version; null while there is none.
  virtual std::shared_ptr<const TableSnapshot> snapshot() const = 0;
  virtual const TableVersion& version() const = 0;
  // How many versions were on disk when the newest one was made durable, or old ones were removed.
  virtual std::uint64_t version_count() const { return 0; }

  // Adds the rows of `stream` (consumed). Its columns must be among the table's; the first append makes the table.
  virtual Status append(ArrowArrayStream* stream, const AppendSummary& summary) = 0;

  // Adds nullable columns (`columns`: a struct schema, consumed) that read as null in every row so far.
  virtual Status add_columns(ArrowSchema* columns) = 0;

  // Drops columns, or renames them (old name, new name; all at once), without touching a row: only
  // metadata is written. Fails for a name that no column has, and for a new one that is taken. A
  // column that is added under a dropped name is another one: it reads as null in every row so far.
  // Not for system columns.
  virtual Status drop_columns(const std::vector<std::string>& names) = 0;
  virtual Status rename_columns(
      const std::vector<std::pair<std::string, std::string>>& renames) = 0;

  // Replaces schema and rows by those of `stream` (consumed) in one version.
  virtual Status rewrite(ArrowArrayStream* stream) = 0;

  // Merges small fragments; rows and their order stay. Without any to merge nothing is committed.
  virtual Result<CompactedFragments> compact(const TableCompaction& compaction) = 0;

  // A merge of some neighbouring fragments of the newest version; which, it decides itself. Null: there is no table yet, or it
  // cannot be used.
  virtual std::unique_ptr<TableMerge> begin_merge() = 0;
  // Commits what a merge of this table has written; rows and their order stay. Where anything but appends came between,
  // nothing is committed, and before equals after. After a failure the table is as before and takes further changes.
  virtual Result<CompactedFragments> commit_merge(TableMerge& merge) = 0;

  // Removes every version but the newest `kept` ones (at least 1) and those that a snapshot of this object still reads, with the
  // files that only they have. Nothing but version() may be named by a checkpoint. A failure may leave some of them; the
  // newest is whole.
  virtual Result<RemovedVersions> remove_old_versions(std::uint64_t kept) = 0;
};

// What to do with versions newer than the known one that look whole. Those that do not are always set aside.
enum class NewerVersions : std::uint8_t { kAccept, kSetAside };

// Opens the table in folder `path`. `known` is the version of the last checkpoint. What is set aside goes to `path`'s
// sibling folder "quarantine"; a `known` version that is not whole is kCorruption.
using TableOpener = std::function<Result<std::unique_ptr<Table>>(
    const std::string& path, const TableVersion& known, NewerVersions newer)>;

}  // namespace persisting
