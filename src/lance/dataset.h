// Owners for what the Lance engine's C ABI hands out, and its errors as Status.
// Threads: Dataset is thread-safe as the ABI's handles are; the rest are thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "persisting/lance_engine.h"

#include "table/table.h"

namespace persisting::lance {

struct DataFile {
  std::string name;         // below the dataset's data folder
  std::uint64_t bytes = 0;  // 0: the version does not say
  // Files of one fragment hold different columns of the same rows.
  std::uint64_t fragment = 0;
  std::uint64_t rows = 0;
};

// Fragments written and not yet committed.
class Fragments {
 public:
  Fragments(const persisting_lance_engine& engine, persisting_lance_fragments* handle)
      : engine_(engine), handle_(handle) {}
  ~Fragments() {
    if (handle_ != nullptr) engine_.drop_fragments(engine_.context, handle_);
  }
  Fragments(const Fragments&) = delete;
  Fragments& operator=(const Fragments&) = delete;
  persisting_lance_fragments* handle() const { return handle_; }

 private:
  const persisting_lance_engine& engine_;
  persisting_lance_fragments* const handle_;
};

struct MergedFragments {
  std::unique_ptr<Fragments> fragments;
  std::vector<DataFile> files;  // that they were written into
};

// One opened version of a dataset.
class Dataset : public TableSnapshot {
 public:
  // Takes ownership of `handle`.
  static Result<std::shared_ptr<const Dataset>> adopt(const persisting_lance_engine& engine,
                                                      persisting_lance_dataset* handle);
  static Result<std::shared_ptr<const Dataset>> open(const persisting_lance_engine& engine,
                                                     const std::string& path,
                                                     std::uint64_t version);
  ~Dataset() override;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  std::uint64_t version() const override { return version_; }
  std::uint64_t rows() const override { return rows_; }
  Status schema(ArrowSchema* out) const override;
  Status scan(std::uint64_t row, std::uint64_t count, ArrowArrayStream* out) const override;
  // The _offset of one row, as the dataset holds it.
  Result<std::uint64_t> offset_at(std::uint64_t row) const;
  Result<std::vector<DataFile>> data_files() const;
  // Writes the rows of `count` fragments from `first` on into new data files, which no version names yet.
  Result<MergedFragments> merge_fragments(std::uint64_t first, std::uint64_t count) const;
  persisting_lance_dataset* handle() const { return handle_; }

 private:
  Dataset(const persisting_lance_engine& engine, persisting_lance_dataset* handle)
      : engine_(engine), handle_(handle) {}

  const persisting_lance_engine& engine_;
  persisting_lance_dataset* const handle_;
  std::uint64_t version_ = 0;
  std::uint64_t rows_ = 0;
};

// A Status from an ABI call's return value; takes the engine's message. By pointer: as an argument beside the call it
// would be read before it.
Status check(const persisting_lance_engine& engine, int code, char** message,
             const std::string& what);

// Parses the ABI's file list and frees it.
Result<std::vector<DataFile>> take_file_list(const persisting_lance_engine& engine, char* list);

}  // namespace persisting::lance
