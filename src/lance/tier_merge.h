// One merge of a Lance table's maintenance: which fragments, and the file that takes their place.
// write() reads the version that was the newest when the merge began, and touches nothing that a change of the table does: so it
// runs beside them. Only appends may come between that and LanceTable::commit_merge.
// Failure: what no version names is removed again; a file that cannot be removed is only in the way.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "persisting/lance_engine.h"

#include "base/file_system.h"
#include "lance/dataset.h"
#include "table/table.h"

namespace persisting::lance {

class TierMerge : public TableMerge {
 public:
  // `layout`: what LanceTable counts with each change that is no append.
  TierMerge(FileSystem& file_system, const persisting_lance_engine& engine, std::string path,
            std::shared_ptr<const Dataset> dataset, std::uint64_t layout);
  ~TierMerge() override;

  Result<bool> write() override;
  std::uint64_t bytes() const override;

  std::uint64_t layout() const { return layout_; }
  // In the order of their rows.
  const std::vector<std::string>& replaced() const { return replaced_; }
  std::uint64_t replaced_fragments() const { return fragments_; }
  const std::vector<TableFile>& written() const { return written_; }
  persisting_lance_fragments* handle() const { return merged_->handle(); }
  // A version may name the files that were written: they stay, whatever becomes of it.
  void keep_files() { written_.clear(); }

 private:
  Status write_fragments(std::uint64_t first, std::uint64_t count);

  FileSystem& file_system_;
  const persisting_lance_engine& engine_;
  const std::string path_;
  const std::shared_ptr<const Dataset> dataset_;
  const std::uint64_t layout_;
  std::unique_ptr<Fragments> merged_;
  std::vector<std::string> replaced_;
  std::uint64_t fragments_ = 0;
  std::vector<TableFile> written_;
};

}  // namespace persisting::lance
