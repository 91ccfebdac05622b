#include "lance/head_check.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "persisting/log.h"

#include "lance/lance_format.h"
#include "lance/manifests.h"

namespace persisting::lance {
namespace {

Error corruption(std::string message) {
  return Error{ErrorCode::kCorruption, Component::kTable, std::move(message)};
}

Status check_end(FileSystem& file_system, const std::string& path, std::uint64_t size) {
  const std::uint64_t begin = size - std::min<std::uint64_t>(size, footer_bytes);
  PERSISTING_ASSIGN_OR_RETURN(const std::string end,
                              file_system.read_range(path, begin, footer_bytes));
  if (!ends_whole(end)) return corruption(path + " does not end as a Lance file");
  return ok_status();
}

// Whether a file that the version names is there, of the right size, and ends as it must.
Status check_data_file(FileSystem& file_system, const std::string& path, std::uint64_t bytes) {
  PERSISTING_ASSIGN_OR_RETURN(const bool there, file_system.exists(path));
  if (!there) return corruption(path + " is missing");
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t size, file_system.file_size(path));
  if (bytes != 0 && size != bytes) {
    return corruption(path + " has " + std::to_string(size) + " bytes instead of " +
                      std::to_string(bytes));
  }
  return check_end(file_system, path, size);
}

Result<std::shared_ptr<const Dataset>> open_if_whole(
    FileSystem& file_system, const persisting_lance_engine& engine, const std::string& path,
    const std::string& manifest, std::uint64_t version, const TableVersion& known) {
  PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t size, file_system.file_size(manifest));
  PERSISTING_RETURN_IF_ERROR(check_end(file_system, manifest, size));
  PERSISTING_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset,
                              Dataset::open(engine, path, version));
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset->data_files());
  for (const DataFile& file : files) {
    PERSISTING_RETURN_IF_ERROR(
        check_data_file(file_system, path + data_folder + "/" + file.name, file.bytes));
  }
  PERSISTING_RETURN_IF_ERROR(check_positions(path, *dataset, files, known.files));
  return dataset;
}

Status quarantine(FileSystem& file_system, const std::string& path, const std::string& manifest,
                  const Error& why) {
  const std::string name = manifest.substr(manifest.rfind('/') + 1);
  const std::string folder = parent_folder(path) + "/quarantine";
  PERSISTING_RETURN_IF_ERROR(file_system.create_folders(folder));
  std::string target = folder + "/" + name;
  for (int copy = 1;; ++copy) {
    PERSISTING_ASSIGN_OR_RETURN(const bool taken, file_system.exists(target));
    if (!taken) break;
    target = folder + "/" + name + "." + std::to_string(copy);
  }
  const std::string versions = path + versions_folder;
  PERSISTING_RETURN_IF_ERROR(file_system.rename(manifest, target));
  // Lance looks there first for the newest version.
  PERSISTING_ASSIGN_OR_RETURN(const bool hinted,
                              file_system.exists(versions + "/" + version_hint_name));
  if (hinted)
    PERSISTING_RETURN_IF_ERROR(file_system.remove_file(versions + "/" + version_hint_name));
  PERSISTING_RETURN_IF_ERROR(file_system.sync_folder(folder));
  PERSISTING_RETURN_IF_ERROR(file_system.sync_folder(versions));
  log({LogLevel::kWarning,
       "moved an unfinished table version to " + target + ": " + why.message,
       "quarantine",
       Struct{{"moved_to", target}, {"reason", why.message}},
       {},
       {}});
  return ok_status();
}

// Whether the version that the checkpoint names is still what it was, as far as sizes and the manifest's contents tell.
Status check_known(FileSystem& file_system, const std::string& path, const TableVersion& known) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string manifest,
                              find_manifest(file_system, path, known.version));
  if (manifest.empty()) {
    return corruption(path + versions_folder + ": the manifest of version " +
                      std::to_string(known.version) + ", which the checkpoint names, is missing");
  }
  PERSISTING_ASSIGN_OR_RETURN(const FileDigest found, digest_file(file_system, manifest));
  if (found != known.manifest)
    return corruption(manifest + " differs from what the checkpoint remembers of it");
  for (const TableFile& file : known.files) {
    PERSISTING_RETURN_IF_ERROR(
        check_data_file(file_system, path + data_folder + "/" + file.name, file.digest.bytes));
  }
  return ok_status();
}

}  // namespace

Status check_positions(const std::string& path, const Dataset& dataset,
                       const std::vector<DataFile>& files, const std::vector<TableFile>& known) {
  const auto check_row = [&path, &dataset](std::uint64_t row) -> Status {
    PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t offset, dataset.offset_at(row));
    if (offset == row) return ok_status();
    return corruption(path + ": row " + std::to_string(row) + " of " +
                      std::to_string(dataset.rows()) + " has _offset " + std::to_string(offset) +
                      "; rows were moved, deleted or added by another program");
  };
  bool as_known = true;
  std::optional<std::uint64_t> fragment;
  std::uint64_t row = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    as_known = as_known && i < known.size() && known[i].name == files[i].name;
    if (files[i].fragment == fragment) continue;
    fragment = files[i].fragment;
    if (!as_known && files[i].rows > 0) PERSISTING_RETURN_IF_ERROR(check_row(row));
    row += files[i].rows;
  }
  return dataset.rows() > 0 ? check_row(dataset.rows() - 1) : ok_status();
}

Status set_aside_newer(FileSystem& file_system, const std::string& path, std::uint64_t known,
                       const Error& why) {
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system, path));
  for (auto newest = manifests.rbegin(); newest != manifests.rend(); ++newest) {
    const auto& [version, manifest] = *newest;
    if (version <= known) break;
    PERSISTING_RETURN_IF_ERROR(quarantine(file_system, path, manifest, why));
  }
  return ok_status();
}

Result<std::shared_ptr<const Dataset>> choose_head(FileSystem& file_system,
                                                   const persisting_lance_engine& engine,
                                                   const std::string& path,
                                                   const TableVersion& known, NewerVersions newer) {
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system, path));
  // Nothing is set aside for a version that is not there.
  if (newer == NewerVersions::kSetAside && known.version != 0)
    PERSISTING_RETURN_IF_ERROR(check_known(file_system, path, known));
  for (auto newest = manifests.rbegin(); newest != manifests.rend(); ++newest) {
    const auto& [version, manifest] = *newest;
    if (version <= known.version) break;
    Result<std::shared_ptr<const Dataset>> dataset =
        newer == NewerVersions::kAccept
            ? open_if_whole(file_system, engine, path, manifest, version, known)
            : corruption("it does not hold what the log and the checkpoint say");
    if (dataset) {
      log(LogLevel::kInfo, path + ": accepted version " + std::to_string(version) +
                               ", newer than the checkpoint's " + std::to_string(known.version));
      return dataset;
    }
    PERSISTING_RETURN_IF_ERROR(quarantine(file_system, path, manifest, dataset.error()));
  }
  if (known.version == 0) return std::shared_ptr<const Dataset>();
  PERSISTING_RETURN_IF_ERROR(check_known(file_system, path, known));
  return Dataset::open(engine, path, known.version);
}

}  // namespace persisting::lance
