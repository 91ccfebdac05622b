// A table as it lies on disk, for whoever looks for damage: any version can be opened, nothing is checked or changed.
// Failure: component kTable.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "table/table.h"

namespace persisting {

// Which rows of a version a file holds. Several files may hold different columns of the same rows.
struct TableFileRows {
  std::string name;  // as in TableFile
  std::uint64_t first_row = 0;
  std::uint64_t rows = 0;
};

struct InspectedVersion {
  std::shared_ptr<const TableSnapshot> snapshot;
  std::vector<TableFileRows> files;
};

class TableInspection {
 public:
  virtual ~TableInspection() = default;
  // Versions that have a manifest, newest first.
  virtual Result<std::vector<std::uint64_t>> versions() = 0;
  // Paths of a version's manifest (empty: there is none) and of a file with rows.
  virtual Result<std::string> manifest_path(std::uint64_t version) = 0;
  virtual std::string data_path(const std::string& name) const = 0;
  virtual Result<InspectedVersion> open(std::uint64_t version) = 0;
};

// For the table in folder `path`, which need not be there.
using TableInspector =
    std::function<Result<std::unique_ptr<TableInspection>>(const std::string& path)>;

}  // namespace persisting
