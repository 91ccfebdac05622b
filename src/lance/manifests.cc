#include "lance/manifests.h"

#include <optional>
#include <vector>

#include "lance/lance_format.h"

namespace persisting::lance {

Result<std::map<std::uint64_t, std::string>> list_manifests(FileSystem& file_system,
                                                            const std::string& path) {
  const std::string folder = path + versions_folder;
  PERSISTING_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              file_system.list_folder(folder));
  std::map<std::uint64_t, std::string> manifests;
  for (const std::string& name : names) {
    if (const auto version = version_of_manifest(name))
      manifests.emplace(*version, folder + "/" + name);
  }
  return manifests;
}

Result<std::string> find_manifest(FileSystem& file_system, const std::string& path,
                                  std::uint64_t version) {
  PERSISTING_ASSIGN_OR_RETURN(const auto manifests, list_manifests(file_system, path));
  const auto found = manifests.find(version);
  return found == manifests.end() ? std::string() : found->second;
}

}  // namespace persisting::lance
