#include "lance/head_check.h"

#include <algorithm>
#include <map>
#include <utility>

#include "persisting/log.h"

#include "base/checksum.h"
#include "lance/lance_format.h"

namespace persisting::lance {
namespace {

Error corruption(std::string message) {
  return Error{ErrorCode::kCorruption, Component::kTable, std::move(message)};
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
  PERSISTING_ASSIGN_OR_RETURN(const std::string end, file_system.read_end(path, footer_bytes));
  if (!ends_whole(end)) return corruption(path + " does not end as a Lance file");
  return ok_status();
}

Result<std::shared_ptr<const Dataset>> open_if_whole(FileSystem& file_system,
                                                     const persisting_lance_engine& engine,
                                                     const std::string& path,
                                                     const std::string& manifest,
                                                     std::uint64_t version) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string end, file_system.read_end(manifest, footer_bytes));
  if (!ends_whole(end)) return corruption(manifest + " does not end as a Lance manifest");
  PERSISTING_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset,
                              Dataset::open(engine, path, version));
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<DataFile> files, dataset->data_files());
  for (const DataFile& file : files) {
    PERSISTING_RETURN_IF_ERROR(
        check_data_file(file_system, path + data_folder + "/" + file.name, file.bytes));
  }
  if (dataset->rows() > 0) {
    PERSISTING_ASSIGN_OR_RETURN(const std::uint64_t last, dataset->offset_at(dataset->rows() - 1));
    if (last != dataset->rows() - 1) {
      return corruption(path + ": the last of " + std::to_string(dataset->rows()) +
                        " rows has _offset " + std::to_string(last) +
                        "; rows were deleted or added by another program");
    }
  }
  return dataset;
}

Status quarantine(FileSystem& file_system, const std::string& path, const std::string& name,
                  const Error& why) {
  const std::string folder = parent_folder(path) + "/quarantine";
  PERSISTING_RETURN_IF_ERROR(file_system.create_folders(folder));
  std::string target = folder + "/" + name;
  for (int copy = 1;; ++copy) {
    PERSISTING_ASSIGN_OR_RETURN(const bool taken, file_system.exists(target));
    if (!taken) break;
    target = folder + "/" + name + "." + std::to_string(copy);
  }
  const std::string versions = path + versions_folder;
  PERSISTING_RETURN_IF_ERROR(file_system.rename(versions + "/" + name, target));
  // Lance looks there first for the newest version.
  PERSISTING_ASSIGN_OR_RETURN(const bool hinted,
                              file_system.exists(versions + "/" + version_hint_name));
  if (hinted)
    PERSISTING_RETURN_IF_ERROR(file_system.remove_file(versions + "/" + version_hint_name));
  PERSISTING_RETURN_IF_ERROR(file_system.sync_folder(folder));
  PERSISTING_RETURN_IF_ERROR(file_system.sync_folder(versions));
  log(LogLevel::kWarning, "moved an unfinished table version to " + target + ": " + why.message);
  return ok_status();
}

}  // namespace

Result<TableVersion> describe_manifest(FileSystem& file_system, const std::string& manifest,
                                       std::uint64_t version) {
  PERSISTING_ASSIGN_OR_RETURN(const std::string bytes, file_system.read_file(manifest));
  return TableVersion{version, bytes.size(), checksum64(bytes)};
}

Result<std::shared_ptr<const Dataset>> choose_head(FileSystem& file_system,
                                                   const persisting_lance_engine& engine,
                                                   const std::string& path,
                                                   const TableVersion& known) {
  const std::string versions = path + versions_folder;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system.list_folder(versions));
  std::map<std::uint64_t, std::string, std::greater<>> manifests;
  for (const std::string& name : names) {
    if (const auto version = version_of_manifest(name)) manifests.emplace(*version, name);
  }
  for (const auto& [version, name] : manifests) {
    if (version <= known.version) break;
    auto dataset = open_if_whole(file_system, engine, path, versions + "/" + name, version);
    if (dataset) {
      log(LogLevel::kInfo, path + ": accepted version " + std::to_string(version) +
                               ", newer than the checkpoint's " + std::to_string(known.version));
      return dataset;
    }
    PERSISTING_RETURN_IF_ERROR(quarantine(file_system, path, name, dataset.error()));
  }
  if (known.version == 0) return std::shared_ptr<const Dataset>();

  const auto manifest = manifests.find(known.version);
  if (manifest == manifests.end()) {
    return corruption(versions + ": the manifest of version " + std::to_string(known.version) +
                      ", which the checkpoint names, is missing");
  }
  const std::string manifest_file = versions + "/" + manifest->second;
  PERSISTING_ASSIGN_OR_RETURN(const TableVersion found,
                              describe_manifest(file_system, manifest_file, known.version));
  if (found != known)
    return corruption(manifest_file + " differs from what the checkpoint remembers of it");
  return Dataset::open(engine, path, known.version);
}

}  // namespace persisting::lance
