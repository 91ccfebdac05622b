// The table port over the Lance format.
// Lance syncs nothing on a local disk. So, in this order: data files are written uncommitted, synced with their
// folder, committed, then the transaction, the manifest and their folders are synced. A version that is returned is durable.
// On open, before Lance reads anything: versions newer than the known one are accepted where they are whole (manifest and data
// files end as they must, have the recorded sizes, rows count up to the last _offset), and made durable; others are moved to
// the folder "quarantine" beside the table, never deleted.
// Compaction (compaction.cc) keeps to that order, and checks that the version has the files in the order of their rows.
// Maintenance (maintenance.cc, tier_merge.h) as well, and puts what it merged where the fragments were.
// Failure: once a commit may have happened and a later step failed, the table refuses every change: only opening it
//          again can tell what is there. But a merge of the maintenance, which brings no row, is set aside then.
// Threads: one caller at a time; snapshots are thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/dataset.h"
#include "lance/merge_plan.h"
#include "lance/tier_merge.h"
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
  std::uint64_t version_count() const override { return version_count_; }
  Status append(ArrowArrayStream* stream, const AppendSummary& summary) override;
  Status add_columns(ArrowSchema* columns) override;
  Status drop_columns(const std::vector<std::string>& names) override;
  Status rename_columns(const std::vector<std::pair<std::string, std::string>>& renames) override;
  Status rewrite(ArrowArrayStream* stream) override;
  Result<CompactedFragments> compact(const TableCompaction& compaction) override;
  std::unique_ptr<TableMerge> begin_merge() override;
  Result<CompactedFragments> commit_merge(TableMerge& merge) override;
  Result<RemovedVersions> remove_old_versions(std::uint64_t kept) override;

 private:
  LanceTable(FileSystem& file_system, const persisting_lance_engine& engine, std::string path)
      : file_system_(file_system), engine_(engine), path_(std::move(path)) {}

  struct Properties {
    std::uint64_t first_offset;
    std::uint64_t rows;
  };

  Status write_and_commit(ArrowArrayStream* stream, int mode, const Properties& properties,
                          std::uint64_t rows_after);
  // Lets `change`, a call of the engine's C ABI, commit a version of the same rows, other columns.
  Status change_columns(
      const std::string& what,
      const std::function<int(persisting_lance_dataset** changed, char** message)>& change);
  // Takes over a version that was just committed, and makes it durable. `files`: what it consists of, unless another program
  // has committed in between.
  Status advance(std::shared_ptr<const Dataset> next, std::uint64_t rows_after,
                 std::vector<TableFile> files);
  Status make_durable(std::shared_ptr<const Dataset> next, std::vector<TableFile> files);
  Status write_merged(const std::vector<Merge>& merges, const TableCompaction& compaction,
                      std::vector<std::unique_ptr<Fragments>>* merged,
                      std::vector<DataFile>* written);
  void discard(const std::vector<DataFile>& files);
  Status commit_merged(const std::vector<std::unique_ptr<Fragments>>& merged,
                       std::vector<TableFile> files);
  Status catch_up();
  Status commit_in_place(TierMerge& merge, std::vector<TableFile> files);
  Status take_back(Status failure);
  Status set_merge_aside();
  Result<std::vector<std::uint64_t>> find_old_versions(std::uint64_t kept);
  Status remove_versions(const std::vector<std::uint64_t>& versions, RemovedVersions* removed);
  Status forget_removed();
  Result<bool> remove_unreadable(const std::vector<std::uint64_t>& versions);
  Result<std::vector<TableFile>> learn_files(const Dataset& dataset);
  Status sync_data_files(const std::vector<DataFile>& files);
  Status sync_version_files(std::uint64_t version, std::vector<TableFile> files);
  Result<std::vector<TableFile>> digest_files(const std::vector<DataFile>& files) const;
  Status refuse_after_failed_commit(Status failure);
  Status check_usable();

  FileSystem& file_system_;
  const persisting_lance_engine& engine_;
  const std::string path_;
  std::shared_ptr<const Dataset> dataset_;           // null while there is no table
  std::vector<std::weak_ptr<const Dataset>> older_;  // versions before that readers may still hold
  TableVersion version_;
  std::uint64_t version_count_ = 0;
  std::set<std::string, std::less<>> synced_;  // data and transaction files known to be durable
  std::uint64_t layout_ = 0;                   // grows with every change that is no append
  std::optional<Error> broken_;
  bool broken_by_merge_ = false;  // its version is still to be set aside
};

}  // namespace persisting::lance
