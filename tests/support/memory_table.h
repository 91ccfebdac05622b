// A table in memory behind the table port, for tests of the engine without Lance.
// Tables are kept by path for the life of a MemoryTables, so that a test can close a bucket and open it again. Rows are kept
// as the Arrow batches that the engine handed over.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nanoarrow/nanoarrow.hpp>

#include "table/table.h"

namespace persisting::testing {

class MemoryTables {
 public:
  // Opens tables of this set; it must outlive them.
  TableOpener opener();

  // The next `count` changes of any table fail: before anything changed, or after the new version was made.
  void fail_before(int count) { fail_before_ = count; }
  void fail_after(int count) { fail_after_ = count; }
  // Called at the start of each append.
  void on_append(std::function<void()> hook) { on_append_ = std::move(hook); }
  // Called at the start of each compaction.
  void on_compact(std::function<void()> hook) { on_compact_ = std::move(hook); }
  int appends() const { return appends_; }
  int rewrites() const { return rewrites_; }
  int added_columns() const { return added_columns_; }

 private:
  friend class MemoryTable;
  struct Version {
    nanoarrow::UniqueSchema schema;
    std::vector<std::shared_ptr<nanoarrow::UniqueArray>> batches;
    std::vector<std::shared_ptr<nanoarrow::UniqueSchema>> batch_schemas;
    std::uint64_t number = 0;
    std::uint64_t rows = 0;
  };
  struct Stored {
    std::vector<std::shared_ptr<const Version>> versions;
  };

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Stored>> tables_;
  int fail_before_ = 0;
  int fail_after_ = 0;
  int appends_ = 0;
  int rewrites_ = 0;
  int added_columns_ = 0;
  std::function<void()> on_append_;
  std::function<void()> on_compact_;
};

}  // namespace persisting::testing
