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

// Moves every version above `known` to quarantine; `why` goes into the log.
Status set_aside_newer(FileSystem& file_system, const std::string& path, std::uint64_t known,
                       const Error& why);

// Whether each row of a version that another program may have made stands at the position of its _offset, as far as the first of
// each fragment and the last one tell: Lance's own compaction puts what it merged behind the fragments that it left.
// Fragments at the beginning that are those of `known` are not read. kCorruption where not.
Status check_positions(const std::string& path, const Dataset& dataset,
                       const std::vector<DataFile>& files, const std::vector<TableFile>& known);

}  // namespace persisting::lance
