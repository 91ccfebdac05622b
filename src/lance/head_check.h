// Which version of a Lance table a bucket may build on after a crash, decided before Lance reads the newest one.
// Threads: free functions, called while opening.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/dataset.h"
#include "table/table.h"

namespace persisting::lance {

// The newest whole version at or above `known`; null where there is no table at all. Newer ones that are not whole, or not
// wanted, have been moved to quarantine. kCorruption where neither `known` nor a newer version is whole.
Result<std::shared_ptr<const Dataset>> choose_head(FileSystem& file_system,
                                                   const persisting_lance_engine& engine,
                                                   const std::string& path,
                                                   const TableVersion& known, NewerVersions newer);

// The path of a version's manifest, below the dataset's folder `path`; empty where there is none.
Result<std::string> find_manifest(FileSystem& file_system, const std::string& path,
                                  std::uint64_t version);

}  // namespace persisting::lance
