// LanceTable's compaction, and the removal of old versions.
#include <algorithm>
#include <memory>
#include <utility>

#include "persisting/log.h"

#include "lance/fragment_list.h"
#include "lance/head_check.h"
#include "lance/lance_format.h"
#include "lance/lance_table.h"
#include "lance/manifests.h"
#include "lance/merge_plan.h"

namespace persisting::lance {
Result<CompactedFragments> LanceTable::compact(const TableCompaction& compaction) {
  PERSISTING_RETURN_IF_ERROR(check_usable());
  CompactedFragments figures;
  if (dataset_ == nullptr) return figures;
  PERSISTING_RETURN_IF_ERROR(catch_up());
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset_->data_files());
  std::vector<std::uint64_t> rows;
  for (const FragmentSize& fragment : sizes_of_fragments(files)) rows.push_back(fragment.rows);
  figures.before = figures.after = rows.size();
  const std::vector<Merge> merges = plan_merges(rows, compaction.target_rows);
  if (merges.empty()) return figures;

  std::vector<std::unique_ptr<Fragments>> merged;
  std::vector<DataFile> written;
  const Status ready = write_merged(merges, compaction, &merged, &written);
  std::vector<DataFile> files_after = files_of_fragments(files, 0, merges.front().first);
  files_after.insert(files_after.end(), written.begin(), written.end());
  Result<std::vector<TableFile>> digests = ready ? digest_files(files_after) : ready.error();
  if (!digests) {
    discard(written);
    return std::move(digests).error();
  }
  ++layout_;
  PERSISTING_RETURN_IF_ERROR(commit_merged(merged, std::move(digests).value()));
  figures.after = merges.front().first + merges.size();
  return figures;
}

// Takes over what another program has committed meanwhile: Lance would refuse to commit beside it.
Status LanceTable::catch_up() {
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system_, path_));
  if (manifests.empty() || manifests.rbegin()->first <= dataset_->version()) return ok_status();
  const std::uint64_t newest = manifests.rbegin()->first;
  PERSISTING_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> next,
                              Dataset::open(engine_, path_, newest));
  if (next->rows() != dataset_->rows()) {
    return Error{ErrorCode::kCorruption, Component::kTable,
                 path_ + ": another program's version " + std::to_string(newest) + " has " +
                     std::to_string(next->rows()) + " rows instead of " +
                     std::to_string(dataset_->rows())};
  }
  PERSISTING_ASSIGN_OR_RETURN(std::vector<TableFile> files, learn_files(*next));
  return make_durable(std::move(next), std::move(files));
}

// Writes and syncs the data files, before any version names them. `written` has those of merges that were done, also on
// failure.
Status LanceTable::write_merged(const std::vector<Merge>& merges, const TableCompaction& compaction,
                                std::vector<std::unique_ptr<Fragments>>* merged,
                                std::vector<DataFile>* written) {
  const std::uint64_t total = merges.back().first + merges.back().count - merges.front().first;
  for (const Merge& merge : merges) {
    if (compaction.progress)
      PERSISTING_RETURN_IF_ERROR(compaction.progress(merge.first - merges.front().first, total));
    Result<MergedFragments> made = dataset_->merge_fragments(merge.first, merge.count);
    if (!made) return with_context(std::move(made).error(), path_);
    merged->push_back(std::move(made->fragments));
    written->insert(written->end(), made->files.begin(), made->files.end());
    PERSISTING_RETURN_IF_ERROR(sync_data_files(made->files));
  }
  return compaction.progress ? compaction.progress(total, total) : ok_status();
}

// Files that no version will name. One that cannot be removed is only in the way.
void LanceTable::discard(const std::vector<DataFile>& files) {
  for (const DataFile& file : files) {
    (void)file_system_.remove_file(path_ + data_folder + "/" + file.name);
    synced_.erase(file.name);
  }
}

Status LanceTable::commit_merged(const std::vector<std::unique_ptr<Fragments>>& merged,
                                 std::vector<TableFile> files) {
  std::vector<persisting_lance_fragments*> handles;
  handles.reserve(merged.size());
  for (const auto& fragments : merged) handles.push_back(fragments->handle());
  char* message = nullptr;
  persisting_lance_dataset* compacted = nullptr;
  Status status = check(engine_,
                        engine_.commit_merged(engine_.context, dataset_->handle(), handles.data(),
                                              handles.size(), &compacted, &message),
                        &message, "commit merged fragments to " + path_);
  if (!status) return refuse_after_failed_commit(std::move(status));
  auto next = Dataset::adopt(engine_, compacted);
  if (!next) return refuse_after_failed_commit(std::move(next).error());
  auto named = (*next)->data_files();
  if (!named) return refuse_after_failed_commit(std::move(named).error());
  // Every row where it was, which is what readers rely on.
  if (!std::ranges::equal(*named, files, {}, &DataFile::name, &TableFile::name) ||
      (*next)->rows() != dataset_->rows()) {
    return refuse_after_failed_commit(
        Error{ErrorCode::kCorruption, Component::kTable,
              path_ + ": version " + std::to_string((*next)->version()) +
                  " does not consist of the files that the compaction wrote, in their order; "
                  "another program has changed the table"});
  }
  return make_durable(std::move(next).value(), std::move(files));
}

Result<RemovedVersions> LanceTable::remove_old_versions(std::uint64_t kept) {
  PERSISTING_RETURN_IF_ERROR(check_usable());
  RemovedVersions removed;
  if (dataset_ == nullptr) return removed;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> old, find_old_versions(kept));
  if (old.empty()) return removed;
  Status status = remove_versions(old, &removed);
  if (!status) {
    // Lance reads those that are kept, too.
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> behind, find_old_versions(0));
    PERSISTING_ASSIGN_OR_RETURN(const bool some, remove_unreadable(behind));
    if (!some) return std::move(status).error();
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> rest, find_old_versions(kept));
    if (!rest.empty()) PERSISTING_RETURN_IF_ERROR(remove_versions(rest, &removed));
  }
  // Otherwise a power cut could bring manifests back whose data files stay away.
  for (const char* const folder : {versions_folder, transactions_folder, data_folder})
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_folder(path_ + folder));
  PERSISTING_ASSIGN_OR_RETURN(const auto left, list_manifests(file_system_, path_));
  version_count_ = left.size();
  PERSISTING_RETURN_IF_ERROR(forget_removed());
  return removed;
}

// A table that lives long has more files than fit its memory.
Status LanceTable::forget_removed() {
  std::set<std::string, std::less<>> there;
  for (const char* const folder : {transactions_folder, data_folder}) {
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                                file_system_.list_folder(path_ + folder));
    there.insert(names.begin(), names.end());
  }
  std::erase_if(synced_, [&there](const std::string& name) { return !there.contains(name); });
  return ok_status();
}

Status LanceTable::remove_versions(const std::vector<std::uint64_t>& versions,
                                   RemovedVersions* removed) {
  char* message = nullptr;
  return check(
      engine_,
      engine_.remove_versions(engine_.context, dataset_->handle(), versions.data(), versions.size(),
                              &removed->versions, &removed->bytes, &message),
      &message, "remove old versions of " + path_);
}

// A power cut may leave a torn manifest below a whole one, for which Lance would remove nothing. Whether there was one.
Result<bool> LanceTable::remove_unreadable(const std::vector<std::uint64_t>& versions) {
  bool found = false;
  for (const std::uint64_t version : versions) {
    PERSISTING_ASSIGN_OR_RETURN(const std::string manifest,
                                find_manifest(file_system_, path_, version));
    if (manifest.empty() || Dataset::open(engine_, path_, version)) continue;
    PERSISTING_RETURN_IF_ERROR(file_system_.remove_file(manifest));
    log(LogLevel::kWarning, "removed " + manifest + ", an old table version that is not whole");
    found = true;
  }
  return found;
}

// Those behind the newest `kept` that nobody in this process reads any more.
Result<std::vector<std::uint64_t>> LanceTable::find_old_versions(std::uint64_t kept) {
  std::erase_if(older_, [](const auto& dataset) { return dataset.expired(); });
  std::set<std::uint64_t> in_use;
  for (const auto& weak : older_) {
    if (const auto dataset = weak.lock()) in_use.insert(dataset->version());
  }
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system_, path_));
  std::vector<std::uint64_t> old;
  std::uint64_t newer = manifests.size();
  for (const auto& [version, manifest] : manifests) {
    if (newer-- <= kept) break;
    if (version < dataset_->version() && !in_use.contains(version)) old.push_back(version);
  }
  return old;
}

}  // namespace persisting::lance
