// A Lance engine for tests: it keeps a dataset as Lance does (data files, transactions, a manifest a version) on any
// FileSystem, syncs nothing, and has no checksums. So LanceTable can be run against simulated power cuts, and programs
// without Python can be killed in the middle of a flush.
// Files:   data/{number}.lance, _transactions/{number}.txn, _versions/{2^64 - 1 - version}.manifest, which all end in
//          "LANC". A data file holds normalized records; a manifest the schema, filler beyond a sector, and
//          the fragments. A column that was dropped or renamed stays in the data files as it was: each
//          fragment knows what became of its columns.
// Threads: thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/table_format.h"
#include "schema/schema.h"

namespace persisting::testing {

class SimulatedLance {
 public:
  explicit SimulatedLance(FileSystem& file_system);
  SimulatedLance(const SimulatedLance&) = delete;
  SimulatedLance& operator=(const SimulatedLance&) = delete;

  const persisting_lance_engine& engine() const { return engine_; }
  // Lance tables on this engine, which must outlive them.
  TableFormat format() { return lance::make_table_format(file_system_, engine_); }
  TableOpener opener() { return format().open; }

  // What another program's compaction does to the newest version: the same rows in one file. The data are synced: that a page
  // is torn inside them is beyond what opening can see (docs/durability.md). The manifest is not.
  Status compact(const std::string& path);

  // Old name, new name.
  using Renames = std::vector<std::pair<std::string, std::string>>;

  struct Fragment {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::string file;
    Renames renamed;  // from names in the file to the schema's; to nothing where dropped
  };
  struct Manifest {
    std::uint64_t version = 0;
    Schema schema;
    std::vector<Fragment> fragments;
    std::uint64_t rows() const;
  };
  struct Row {
    std::uint64_t offset = 0;
    std::int64_t timestamp_us = 0;
    std::string record;
  };
  struct Written {
    Schema schema;
    std::vector<Fragment> fragments;
    // Files of the fragments that these take the place of.
    std::vector<std::string> merged;
  };

  // The calls of the C ABI.
  Result<Manifest> open(const std::string& path, std::uint64_t version);
  // Rows [first, end), from the files that hold them.
  Result<std::vector<Row>> read(const std::string& path, const Manifest& manifest,
                                std::uint64_t first = 0, std::uint64_t end = UINT64_MAX);
  Result<Written> write(const std::string& path, const Manifest* base, int mode,
                        ArrowArrayStream* stream);
  Result<Manifest> commit(const std::string& path, int mode, Written written);
  Result<Manifest> add_columns(const std::string& path, const Manifest& base, ArrowSchema* columns);
  Result<Manifest> drop_columns(const std::string& path, const std::vector<std::string>& names);
  Result<Manifest> rename_columns(const std::string& path, const Renames& renames);
  Result<Written> merge(const std::string& path, const Manifest& manifest, std::size_t first,
                        std::size_t count);
  // As Lance: a version that reserves numbers, then the merged fragments behind those that stay.
  Result<Manifest> commit_merged(const std::string& path, const Manifest& base,
                                 const std::vector<const Written*>& merged);
  // One version of the same rows, the merged fragments where those were that they are made of.
  Result<Manifest> commit_in_place(const std::string& path, const Written& merged);
  // Takes the first `count` fragments for covered by an index.
  void cover_by_index(std::uint64_t count) { indexed_fragments_ = count; }
  std::uint64_t indexed_fragments() const { return indexed_fragments_; }
  struct Removed {
    std::uint64_t versions = 0;
    std::uint64_t bytes = 0;
  };
  // Data files first, so that a version may be there without them.
  Result<Removed> remove_versions(const std::string& path,
                                  const std::vector<std::uint64_t>& versions);

 private:
  Result<std::uint64_t> newest_version(const std::string& path);
  // Commits the newest version with other names of columns; dropped where the new name is empty.
  Result<Manifest> rename_in_newest(const std::string& path, const Renames& renames);
  Result<Fragment> write_data_file(const std::string& path, const std::vector<Row>& rows);
  Status write_manifest(const std::string& path, const Manifest& manifest);
  Status write_file(const std::string& path, std::string body);
  static std::string next_name();

  FileSystem& file_system_;
  persisting_lance_engine engine_;
  std::uint64_t indexed_fragments_ = 0;
};

}  // namespace persisting::testing
