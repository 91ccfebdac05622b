// The columnar side of a bucket: its table, its checkpoint, and the order in which they change.
// Operation: flush() evolves the table where the schema has grown, appends the rows (the table makes them durable), and
//            writes the checkpoint. Only after that may the caller drop the rows from the tail and the log.
// Guarantee: after a crash at any point the table holds a prefix of the bucket that reaches at least to the last
//            checkpoint's flushed_to, and flushed_to() tells how far exactly.
// Failure:   a failed flush changes nothing that was durable; it may be tried again.
// Threads:   thread-compatible, except snapshot() of the caller's copy. One thread flushes at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "persisting/record.h"

#include "base/file_system.h"
#include "engine/checkpoint.h"
#include "schema/schema.h"
#include "table/table.h"
#include "tail/tail.h"

namespace persisting {

// What an explicit change of the schema does to the columns there are.
struct ColumnChange {
  enum class Kind : std::uint8_t { kNone, kDrop, kRename };
  Kind kind = Kind::kNone;
  std::string name;
  std::string new_name;  // kRename
};

class BucketTable {
 public:
  // Opens the table and the checkpoint in the bucket's folder, accepting or setting aside what a crash left behind.
  static Result<std::unique_ptr<BucketTable>> open(FileSystem& file_system,
                                                   const std::string& folder,
                                                   const TableOpener& opener, NewerVersions newer);

  // Whether opening found neither a checkpoint nor a table.
  bool is_new() const { return checkpoint_.epoch == 0 && table_->snapshot() == nullptr; }
  std::uint64_t flushed_to() const { return checkpoint_.flushed_to; }
  std::uint64_t epoch() const { return checkpoint_.epoch; }
  // Of the records that the last checkpoint covers: where the replay of the log begins.
  SchemaPtr checkpoint_schema() const { return std::make_shared<const Schema>(checkpoint_.schema); }
  // Up to which offset these go; below flushed_to() where a version newer than the checkpoint's was accepted.
  std::uint64_t checkpointed_to() const { return checkpointed_to_; }
  // The schema after opening: of the replayed log, and of what only the table knows. `log_reaches_back`: the replay
  // began at or below checkpointed_to(), so that it has seen every record since the checkpoint.
  Result<SchemaPtr> complete_schema(const SchemaPtr& replayed, bool log_reaches_back);
  // Columns that other programs added, of types that no record holds. No field may take their names.
  const std::vector<std::string>& foreign_columns() const { return foreign_columns_; }
  std::shared_ptr<const TableSnapshot> snapshot() const { return table_->snapshot(); }
  // Of the newest version.
  std::uint64_t file_count() const { return table_->version().files.size(); }
  std::uint64_t version_count() const { return table_->version_count(); }

  // Makes the opening with this epoch durable.
  Status begin_epoch(std::uint64_t epoch);

  // Moves the records of `slices`, which continue at flushed_to(), into the table under `schema`, then writes the
  // checkpoint. Where that last step fails flushed_to() has moved all the same: the caller tries again from there
  // (with no slices, if nothing is left) and keeps its log until it succeeds.
  Status flush(const std::vector<TailSlice>& slices, const SchemaPtr& schema);

  // Makes `schema` that of the table, by `change`, and durable. The table must hold every record. Where this fails after
  // the columns have changed, every later flush fails until the bucket is opened again, which finds the old state.
  Status alter(const SchemaPtr& schema, const ColumnChange& change);

  // Merges the table's small fragments, then writes the checkpoint, which names the new version. Not after a flush that
  // failed: that one first.
  Result<CompactedFragments> compact(const TableCompaction& compaction);

  // A merge of the table's maintenance, null where there is none to begin; and its commit, after which the checkpoint
  // names the new version. Not after a flush that failed.
  std::unique_ptr<TableMerge> begin_merge();
  Result<CompactedFragments> commit_merge(TableMerge& merge);

  // All but the newest `kept`, once the checkpoint names the newest. Not after a flush that failed.
  Result<RemovedVersions> remove_old_versions(std::uint64_t kept);

 private:
  BucketTable(FileSystem& file_system, std::string folder)
      : file_system_(file_system), folder_(std::move(folder)) {}
  Status recover(const TableOpener& opener, NewerVersions newer);
  Status open_version(const TableOpener& opener, NewerVersions newer);
  bool lacks_something() const;
  Status save_checkpoint();
  Status check_settled() const;
  Status append(const std::vector<TailSlice>& slices, const SchemaPtr& schema);
  Status evolve(const SchemaPtr& schema);
  Status rewrite(const SchemaPtr& schema);
  Status alter_columns(const SchemaPtr& schema, const ColumnChange& change);
  Status alter_known_columns(const SchemaPtr& schema);

  FileSystem& file_system_;
  const std::string folder_;
  std::unique_ptr<Table> table_;
  Schema table_schema_;  // of the table's newest version
  std::vector<std::string> foreign_columns_;
  Checkpoint checkpoint_;
  std::uint64_t saved_version_ = 0;  // of the table, that the checkpoint on disk names
  std::uint64_t checkpointed_to_ = 0;
  std::optional<Error> broken_;  // by a change of the schema that failed half-way
};

}  // namespace persisting
