// A file system that reads another one and changes nothing: what would be written, synced, renamed or removed is accepted
// and forgotten. Runs a recovery to see how it would end.
// Threads: thread-safe where the one under it is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace persisting {

class DryRunFileSystem final : public FileSystem {
 public:
  // `under` must outlive it.
  explicit DryRunFileSystem(FileSystem& under) : under_(under) {}

  Status create_folders(const std::string& /*path*/) override { return ok_status(); }
  Result<std::vector<std::string>> list_folder(const std::string& path) override {
    return under_.list_folder(path);
  }
  Status sync_folder(const std::string& /*path*/) override { return ok_status(); }
  Status sync_file(const std::string& /*path*/) override { return ok_status(); }
  Result<bool> exists(const std::string& path) override { return under_.exists(path); }
  Result<std::uint64_t> file_size(const std::string& path) override {
    return under_.file_size(path);
  }
  Result<std::optional<FileState>> file_state(const std::string& path) override {
    return under_.file_state(path);
  }
  Result<std::string> read_file(const std::string& path) override { return under_.read_file(path); }
  Result<std::string> read_range(const std::string& path, std::uint64_t offset,
                                 std::uint64_t bytes) override {
    return under_.read_range(path, offset, bytes);
  }
  Result<std::unique_ptr<WritableFile>> open_append(const std::string& /*path*/) override {
    return std::unique_ptr<WritableFile>(std::make_unique<Nowhere>());
  }
  Status remove_file(const std::string& /*path*/) override { return ok_status(); }
  Status rename(const std::string& /*from*/, const std::string& /*to*/) override {
    return ok_status();
  }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return under_.lock_file(path);
  }
  Result<std::string> network_file_system(const std::string& path) override {
    return under_.network_file_system(path);
  }

 private:
  class Nowhere final : public WritableFile {
   public:
    Status append(const std::vector<std::string_view>& /*pieces*/) override { return ok_status(); }
    Status sync() override { return ok_status(); }
    Status truncate(std::uint64_t /*size*/) override { return ok_status(); }
  };

  FileSystem& under_;
};

}  // namespace persisting
