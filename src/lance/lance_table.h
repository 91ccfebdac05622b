// The table port over the Lance format.
// Lance syncs nothing on a local disk. So, in this order: data files are written uncommitted, synced with their
// folder, committed, then the transaction, the manifest and their folders are synced. A version that is returned is durable.
// On open, before Lance reads anything: versions newer than the known one are accepted where they are whole (manifest and data
// files end as they must, have the recorded sizes, rows count up to the last _offset), and made durable; others are moved to
// the folder "quarantine" beside the table, never deleted.
// Failure: once a commit may have happened and a later step failed, the table refuses every change: only opening it
//          again can tell what is there.
// Threads: one caller at a time; snapshots are thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/dataset.h"
#include "table/table.h"

namespace persisting::lance {

class LanceTable : public Table {
 public:
  static Result<std::unique_ptr<Table>> open(FileSystem& file_system,
                                             const persisting_lance_engine& engine,
                                             const std::string& path, const TableVersion& known,
                                             NewerVersions newer);

  std::shared_ptr<const TableSnapshot> snapshot() const override { return dataset_; }
  const TableVersion& version() const override { return version_; }
  Status append(ArrowArrayStream* stream, const AppendSummary& summary) override;
  Status add_columns(ArrowSchema* columns) override;
  Status rewrite(ArrowArrayStream* stream) override;

 private:
  LanceTable(FileSystem& file_system, const persisting_lance_engine& engine, std::string path)
      : file_system_(file_system), engine_(engine), path_(std::move(path)) {}

  struct Properties {
    std::uint64_t first_offset;
    std::uint64_t rows;
  };

  Status write_and_commit(ArrowArrayStream* stream, int mode, const Properties& properties,
                          std::uint64_t rows_after);
  // Takes over a version that was just committed, and makes it durable. `files`: what it consists of, unless another program
  // has committed in between.
  Status advance(std::shared_ptr<const Dataset> next, std::uint64_t rows_after,
                 std::vector<TableFile> files);
  Status sync_data_files(const std::vector<DataFile>& files);
  Status sync_version_files(std::uint64_t version, std::vector<TableFile> files);
  Result<std::vector<TableFile>> digest_files(const std::vector<DataFile>& files) const;
  Status refuse_after_failed_commit(Status failure);
  Status check_usable() const;

  FileSystem& file_system_;
  const persisting_lance_engine& engine_;
  const std::string path_;
  std::shared_ptr<const Dataset> dataset_;  // null while there is no table
  TableVersion version_;
  std::set<std::string, std::less<>> synced_;  // data and transaction files known to be durable
  std::optional<Error> broken_;
};

}  // namespace persisting::lance
