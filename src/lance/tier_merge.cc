#include "lance/tier_merge.h"

#include <utility>

#include "lance/fragment_list.h"
#include "lance/lance_format.h"
#include "lance/tier_plan.h"

namespace persisting::lance {
namespace {

std::vector<std::string> names_of(const std::vector<DataFile>& files) {
  std::vector<std::string> names;
  names.reserve(files.size());
  for (const DataFile& file : files) names.push_back(file.name);
  return names;
}

}  // namespace

TierMerge::TierMerge(FileSystem& file_system, const persisting_lance_engine& engine,
                     std::string path, std::shared_ptr<const Dataset> dataset, std::uint64_t layout)
    : file_system_(file_system),
      engine_(engine),
      path_(std::move(path)),
      dataset_(std::move(dataset)),
      layout_(layout) {}

TierMerge::~TierMerge() {
  for (const TableFile& file : written_)
    (void)file_system_.remove_file(path_ + data_folder + "/" + file.name);
}

Result<bool> TierMerge::write() {
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset_->data_files());
  char* message = nullptr;
  std::uint64_t indexed = 0;
  PERSISTING_RETURN_IF_ERROR(check(
      engine_, engine_.indexed_fragments(engine_.context, dataset_->handle(), &indexed, &message),
      &message, "list the indexes of " + path_));
  std::vector<FragmentSize> sizes = sizes_of_fragments(files);
  if (indexed > sizes.size()) indexed = sizes.size();
  sizes.erase(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(indexed));
  std::optional<Merge> merge = plan_tier(sizes);
  if (!merge) return false;
  merge->first += indexed;
  replaced_ = names_of(files_of_fragments(files, merge->first, merge->count));
  fragments_ = merge->count;
  PERSISTING_RETURN_IF_ERROR(write_fragments(merge->first, merge->count));
  return true;
}

Status TierMerge::write_fragments(std::uint64_t first, std::uint64_t count) {
  Result<MergedFragments> merged = dataset_->merge_fragments(first, count);
  if (!merged) return with_context(std::move(merged).error(), path_);
  merged_ = std::move(merged->fragments);
  for (const DataFile& file : merged->files) written_.push_back({file.name, {}});
  for (TableFile& file : written_) {
    const std::string data_file = path_ + data_folder + "/" + file.name;
    PERSISTING_RETURN_IF_ERROR(file_system_.sync_file(data_file));
    PERSISTING_ASSIGN_OR_RETURN(file.digest, digest_file(file_system_, data_file));
  }
  return file_system_.sync_folder(path_ + data_folder);
}

std::uint64_t TierMerge::bytes() const {
  std::uint64_t bytes = 0;
  for (const TableFile& file : written_) bytes += file.digest.bytes;
  return bytes;
}

}  // namespace persisting::lance
