// A folder of files in memory that only notes what would change: opening a log of it a hundred thousand times copies nothing
// but what is read.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"

namespace persisting::testing {

class ReadOnlyFiles : public FileSystem {
 public:
  void set(const std::string& path, std::string contents) { files_[path] = std::move(contents); }
  void forget_changes() {
    truncated_to_.reset();
    removed_.clear();
  }
  // The size to which the last truncated file would have been cut.
  std::optional<std::uint64_t> truncated_to() const { return truncated_to_; }
  const std::string& removed() const { return removed_; }
  bool untouched() const { return !truncated_to_ && removed_.empty(); }

  Status create_folders(const std::string&) override { return ok_status(); }
  Result<std::vector<std::string>> list_folder(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [file, contents] : files_) {
      if (parent_folder(file) == path) names.push_back(file.substr(path.size() + 1));
    }
    return names;
  }
  Status sync_folder(const std::string&) override { return ok_status(); }
  Status sync_file(const std::string&) override { return ok_status(); }
  Result<bool> exists(const std::string& path) override { return files_.contains(path); }
  Result<std::uint64_t> file_size(const std::string& path) override {
    return files_.at(path).size();
  }
  Result<std::string> read_file(const std::string& path) override { return files_.at(path); }
  Result<std::unique_ptr<WritableFile>> open_append(const std::string&) override {
    return std::unique_ptr<WritableFile>(std::make_unique<File>(*this));
  }
  Status remove_file(const std::string& path) override {
    removed_ = path;
    return ok_status();
  }
  Status rename(const std::string& from, const std::string&) override { return refused(from); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return refused(path);
  }

 private:
  class File : public WritableFile {
   public:
    explicit File(ReadOnlyFiles& owner) : owner_(owner) {}
    Status append(const std::vector<std::string_view>&) override { return refused("append"); }
    Status sync() override { return ok_status(); }
    Status truncate(std::uint64_t size) override {
      owner_.truncated_to_ = size;
      return ok_status();
    }

   private:
    ReadOnlyFiles& owner_;
  };

  static Error refused(const std::string& what) {
    return make_error(ErrorCode::kIo, what + ": these files are only read");
  }

  std::map<std::string, std::string> files_;
  std::optional<std::uint64_t> truncated_to_;
  std::string removed_;
};

}  // namespace persisting::testing
