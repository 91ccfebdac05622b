// LanceTable's merges in the background.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "lance/head_check.h"
#include "lance/lance_table.h"
#include "lance/manifests.h"
#include "lance/tier_merge.h"

namespace persisting::lance {

std::unique_ptr<TableMerge> LanceTable::begin_merge() {
  if (dataset_ == nullptr || !check_usable()) return nullptr;
  return std::make_unique<TierMerge>(file_system_, engine_, path_, dataset_, layout_);
}

Result<CompactedFragments> LanceTable::commit_merge(TableMerge& table_merge) {
  PERSISTING_RETURN_IF_ERROR(check_usable());
  // Another program's version would be taken for the merge's own where that fails.
  PERSISTING_RETURN_IF_ERROR(catch_up());
  auto& merge = static_cast<TierMerge&>(table_merge);
  CompactedFragments figures{merge.replaced_fragments(), merge.replaced_fragments()};
  std::vector<TableFile> files = version_.files;
  const std::vector<std::string>& names = merge.replaced();
  const auto replaced =
      std::search(files.begin(), files.end(), names.begin(), names.end(),
                  [](const TableFile& file, const std::string& name) { return file.name == name; });
  if (merge.layout() != layout_ || names.empty() || replaced == files.end()) return figures;
  const auto place = files.erase(replaced, replaced + static_cast<std::ptrdiff_t>(names.size()));
  files.insert(place, merge.written().begin(), merge.written().end());
  PERSISTING_RETURN_IF_ERROR(commit_in_place(merge, std::move(files)));
  figures.after = 1;
  return figures;
}

Status LanceTable::commit_in_place(TierMerge& merge, std::vector<TableFile> files) {
  const std::string rows = std::to_string(dataset_->rows());
  const std::array entries{persisting_key_value{"persisting.flushed_to", rows.c_str()}};
  char* message = nullptr;
  persisting_lance_dataset* replaced = nullptr;
  Status status =
      check(engine_,
            engine_.commit_in_place(engine_.context, dataset_->handle(), merge.handle(),
                                    entries.data(), entries.size(), &replaced, &message),
            &message, "commit merged fragments to " + path_);
  auto made_durable = [&]() -> Status {
    PERSISTING_RETURN_IF_ERROR(status);
    PERSISTING_ASSIGN_OR_RETURN(auto next, Dataset::adopt(engine_, replaced));
    PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> named, next->data_files());
    // Every row where it was, which is what readers rely on.
    if (!std::ranges::equal(named, files, {}, &DataFile::name, &TableFile::name) ||
        next->rows() != dataset_->rows()) {
      return Error{ErrorCode::kCorruption, Component::kTable,
                   path_ + ": version " + std::to_string(next->version()) +
                       " does not consist of the files that the merge makes it have; another "
                       "program has changed the table"};
    }
    return make_durable(std::move(next), std::move(files));
  }();
  if (!made_durable) {
    const auto manifests = list_manifests(file_system_, path_);
    if (manifests && !manifests->empty() && manifests->rbegin()->first <= version_.version)
      return made_durable;
    merge.keep_files();
    return take_back(made_durable);
  }
  for (const TableFile& file : merge.written()) synced_.insert(file.name);
  merge.keep_files();
  return ok_status();
}

// What a merge has committed may not be durable. But it has no row that the version before it lacks, which is.
Status LanceTable::take_back(Status failure) {
  broken_ = with_context(failure.error(), "the version of a merge could not be set aside after");
  broken_by_merge_ = true;
  (void)check_usable();  // else the next change tries it again
  return failure;
}

Status LanceTable::set_merge_aside() {
  return set_aside_newer(file_system_, path_, version_.version, *broken_);
}

}  // namespace persisting::lance
