// A file system over another that fails, records and blocks calls as a test tells it.
// Numbering: every call that changes or syncs something has a number, from 0 on, in the order in which it began.
// Trace:     "append <name>", "sync <name>", "truncate <name>", "open_append <name>", "remove_file <name>", "rename <name>",
//            "create_folders <name>", "sync_folder <name>", "sync_file <name>", where name is the last part of the path.
// Threads:   thread-safe; the rules are set while no call runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_system.h"

namespace persisting::testing {

class FaultyFileSystem : public FileSystem {
 public:
  enum class Fault {
    kError,       // nothing is done
    kShortWrite,  // an append writes its first half; another call does nothing
  };
  // Called when a call begins, before it can fail, with its line of the trace; it may block.
  using Hook = std::function<void(const std::string& call)>;

  explicit FaultyFileSystem(FileSystem& under) : under_(under) {}

  void fail(std::uint64_t first, bool for_ever, Fault fault) {
    const std::lock_guard lock(mutex_);
    fail_first_ = first;
    fail_end_ = for_ever ? UINT64_MAX : first + 1;
    fault_ = fault;
  }
  // Every call from now on, or none.
  void fail_all() { fail(calls(), true, Fault::kError); }
  void fail_none() { fail(UINT64_MAX, false, Fault::kError); }
  void fail_next() { fail(calls(), false, Fault::kError); }
  // Calls whose line of the trace begins so fail, as long as that is not empty.
  void fail_calls(std::string prefix) {
    const std::lock_guard lock(mutex_);
    fail_prefix_ = std::move(prefix);
  }
  void fail_reads(bool failing) {
    const std::lock_guard lock(mutex_);
    failing_reads_ = failing;
  }
  void set_hook(Hook hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }

  std::uint64_t calls() const {
    const std::lock_guard lock(mutex_);
    return trace_.size();
  }
  std::vector<std::string> trace() const {
    const std::lock_guard lock(mutex_);
    return trace_;
  }
  std::size_t count(std::string_view prefix) const {
    const std::lock_guard lock(mutex_);
    std::size_t found = 0;
    for (const std::string& call : trace_) found += call.starts_with(prefix) ? 1U : 0U;
    return found;
  }
  // Whether every append to every file is covered by a sync that began after it.
  bool all_synced() const {
    const std::lock_guard lock(mutex_);
    for (const auto& [path, file] : files_) {
      if (file.synced < file.appended) return false;
    }
    return true;
  }

  Status create_folders(const std::string& path) override {
    PERSISTING_RETURN_IF_ERROR(begin("create_folders", path));
    return under_.create_folders(path);
  }
  Result<std::vector<std::string>> list_folder(const std::string& path) override {
    return under_.list_folder(path);
  }
  Status sync_folder(const std::string& path) override {
    PERSISTING_RETURN_IF_ERROR(begin("sync_folder", path));
    return under_.sync_folder(path);
  }
  Status sync_file(const std::string& path) override {
    PERSISTING_RETURN_IF_ERROR(begin("sync_file", path));
    return under_.sync_file(path);
  }
  Result<bool> exists(const std::string& path) override { return under_.exists(path); }
  Result<std::uint64_t> file_size(const std::string& path) override {
    return under_.file_size(path);
  }
  Result<std::string> read_file(const std::string& path) override {
    {
      const std::lock_guard lock(mutex_);
      if (failing_reads_) return error("read", path);
    }
    return under_.read_file(path);
  }
  Result<std::unique_ptr<WritableFile>> open_append(const std::string& path) override {
    PERSISTING_RETURN_IF_ERROR(begin("open_append", path));
    PERSISTING_ASSIGN_OR_RETURN(auto file, under_.open_append(path));
    return std::unique_ptr<WritableFile>(std::make_unique<File>(*this, path, std::move(file)));
  }
  Status remove_file(const std::string& path) override {
    PERSISTING_RETURN_IF_ERROR(begin("remove_file", path));
    return under_.remove_file(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    PERSISTING_RETURN_IF_ERROR(begin("rename", from));
    return under_.rename(from, to);
  }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return under_.lock_file(path);
  }

 private:
  struct FileState {
    std::uint64_t appended = 0;  // appends that have ended
    std::uint64_t synced = 0;    // of these, before the last successful sync began
  };

  class File : public WritableFile {
   public:
    File(FaultyFileSystem& owner, std::string path, std::unique_ptr<WritableFile> under)
        : owner_(owner), path_(std::move(path)), under_(std::move(under)) {}

    Status append(const std::vector<std::string_view>& pieces) override {
      if (Status begun = owner_.begin("append", path_); !begun) {
        if (owner_.writes_short()) (void)under_->append(first_half(pieces));
        return begun;
      }
      PERSISTING_RETURN_IF_ERROR(under_->append(pieces));
      const std::lock_guard lock(owner_.mutex_);
      ++owner_.files_[path_].appended;
      return ok_status();
    }
    Status sync() override {
      std::uint64_t covered = 0;
      {
        const std::lock_guard lock(owner_.mutex_);
        covered = owner_.files_[path_].appended;
      }
      PERSISTING_RETURN_IF_ERROR(owner_.begin("sync", path_));
      PERSISTING_RETURN_IF_ERROR(under_->sync());
      const std::lock_guard lock(owner_.mutex_);
      owner_.files_[path_].synced = std::max(owner_.files_[path_].synced, covered);
      return ok_status();
    }
    Status truncate(std::uint64_t size) override {
      PERSISTING_RETURN_IF_ERROR(owner_.begin("truncate", path_));
      return under_->truncate(size);
    }
    Status reserve(std::uint64_t bytes) override {
      PERSISTING_RETURN_IF_ERROR(owner_.begin("reserve", path_));
      return under_->reserve(bytes);
    }
    // None where the next append is to fail: one into memory cannot.
    std::uint64_t room() const override {
      return owner_.fails_next("append", path_) ? 0 : under_->room();
    }
    void map(std::uint64_t bytes) override { under_->map(bytes); }
    bool is_mapped() const override { return under_->is_mapped(); }
    void append_in_room(std::string_view bytes) override {
      (void)owner_.begin("append", path_);
      under_->append_in_room(bytes);
      const std::lock_guard lock(owner_.mutex_);
      ++owner_.files_[path_].appended;
    }

   private:
    static std::vector<std::string_view> first_half(const std::vector<std::string_view>& pieces) {
      std::size_t left = 0;
      for (const std::string_view piece : pieces) left += piece.size();
      left /= 2;
      std::vector<std::string_view> half;
      for (const std::string_view piece : pieces) {
        half.push_back(piece.substr(0, left));
        left -= half.back().size();
      }
      return half;
    }

    FaultyFileSystem& owner_;
    const std::string path_;
    const std::unique_ptr<WritableFile> under_;
  };

  Status begin(const std::string& verb, const std::string& path) {
    const std::string call = verb + " " + path.substr(path.rfind('/') + 1);
    Hook hook;
    bool fails = false;
    {
      const std::lock_guard lock(mutex_);
      const std::uint64_t number = trace_.size();
      trace_.push_back(call);
      fails = (number >= fail_first_ && number < fail_end_) ||
              (!fail_prefix_.empty() && call.starts_with(fail_prefix_));
      hook = hook_;
    }
    if (hook) hook(call);
    if (fails) return error(verb, path);
    return ok_status();
  }
  bool fails_next(const std::string& verb, const std::string& path) const {
    const std::string call = verb + " " + path.substr(path.rfind('/') + 1);
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = trace_.size();
    return (number >= fail_first_ && number < fail_end_) ||
           (!fail_prefix_.empty() && call.starts_with(fail_prefix_));
  }
  bool writes_short() const {
    const std::lock_guard lock(mutex_);
    return fault_ == Fault::kShortWrite;
  }
  static Error error(const std::string& verb, const std::string& path) {
    return make_error(ErrorCode::kIo, verb + " " + path + ": injected error");
  }

  FileSystem& under_;
  mutable std::mutex mutex_;
  // Under mutex_.
  std::vector<std::string> trace_;
  std::map<std::string, FileState> files_;
  std::uint64_t fail_first_ = UINT64_MAX;
  std::uint64_t fail_end_ = UINT64_MAX;
  Fault fault_ = Fault::kError;
  std::string fail_prefix_;
  bool failing_reads_ = false;
  Hook hook_;
};

}  // namespace persisting::testing
