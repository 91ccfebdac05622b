// A disk that is only read, and on which others write between two reads: calls a hook before a read of the test's choice. Whoever
// would change something fails the test.
// Threads: thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/file_system.h"

namespace persisting::testing {

class InterruptedFileSystem final : public FileSystem {
 public:
  explicit InterruptedFileSystem(FileSystem& under) : under_(under) {}

  // Before the read of that number from now on, once; nested reads do not count.
  void interrupt_at(std::uint64_t read, std::function<void()> hook) {
    interrupt_at_ = reads_ + read;
    hook_ = std::move(hook);
  }
  bool is_pending() const { return hook_ != nullptr; }

  Result<std::vector<std::string>> list_folder(const std::string& path) override {
    begin();
    return under_.list_folder(path);
  }
  Result<bool> exists(const std::string& path) override {
    begin();
    return under_.exists(path);
  }
  Result<std::uint64_t> file_size(const std::string& path) override {
    begin();
    return under_.file_size(path);
  }
  Result<std::string> read_file(const std::string& path) override {
    begin();
    return under_.read_file(path);
  }
  Status create_folders(const std::string& path) override { return refused(path); }
  Status sync_folder(const std::string& path) override { return refused(path); }
  Status sync_file(const std::string& path) override { return refused(path); }
  Result<std::unique_ptr<WritableFile>> open_append(const std::string& path) override {
    return refused(path);
  }
  Status remove_file(const std::string& path) override { return refused(path); }
  Status rename(const std::string& from, const std::string&) override { return refused(from); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return refused(path);
  }

 private:
  void begin() {
    if (hook_ == nullptr || reads_++ < interrupt_at_) return;
    std::exchange(hook_, nullptr)();
  }
  static Error refused(const std::string& path) {
    ADD_FAILURE() << "a view wants to change " << path;
    return make_error(ErrorCode::kIo, path + ": only read");
  }

  FileSystem& under_;
  std::uint64_t reads_ = 0;
  std::uint64_t interrupt_at_ = 0;
  std::function<void()> hook_;
};

}  // namespace persisting::testing
