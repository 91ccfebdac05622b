// The manifests in a dataset's folder: which versions there are.
// Threads: free functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/file_system.h"

namespace persisting::lance {

// The path of each version's manifest by its version; `path` is the dataset's folder. Empty where there is no dataset.
Result<std::map<std::uint64_t, std::string>> list_manifests(FileSystem& file_system,
                                                            const std::string& path);

// The path of a version's manifest; empty where there is none.
Result<std::string> find_manifest(FileSystem& file_system, const std::string& path,
                                  std::uint64_t version);

}  // namespace persisting::lance
