// A file system in memory that knows what a power cut would leave.
// Model:   a file has contents and durable contents, as of its last sync; an entry of a folder is durable as of the folder's
//          last sync. The cut treats each file and each entry on its own: of the bytes that differ, it keeps what was durable, keeps
//          the new ones, a prefix of them, zeros in their place, or decides anew for each sector of 512 bytes; an entry that
//          was made, removed or renamed since the folder's sync is as before or as after. Folders themselves are durable at once,
//          and so are their new names.
// Use:     stop_at(n) fails the n-th call from now, with its effect on memory, and all after it. Then restart() is a process that
//          died under a kernel that did not, cut(seed) is the power cut. Files opened before either are dead.
// Threads: thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"

namespace persisting::testing {

class PowerCutFileSystem : public FileSystem {
 public:
  void stop_at(std::uint64_t calls_from_now);
  bool stopped() const;
  std::uint64_t calls() const;  // that change or sync something, so far
  void restart();
  void cut(std::uint64_t seed);

  // A durable file with these contents, whatever was there.
  void set_file(const std::string& path, std::string contents);
  std::map<std::string, std::string> files() const;
  void forget_folder(const std::string& path);

  Status create_folders(const std::string& path) override;
  Result<std::vector<std::string>> list_folder(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Status sync_file(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> file_size(const std::string& path) override;
  Result<std::string> read_file(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> open_append(const std::string& path) override;
  Status remove_file(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override;
  Result<std::string> network_file_system(const std::string& path) override;

  // What network_file_system() says.
  void pretend_network(std::string name) { network_ = std::move(name); }

 private:
  class File;
  struct Content {
    std::string now;
    std::string durable;
  };
  using Entries = std::map<std::string, std::shared_ptr<Content>>;  // by path

  // Counts a call; false where nothing happens any more. `*last`: this one takes effect, but fails.
  bool begin_locked(bool* last);
  Status end(bool last, const std::string& what) const;
  void move_folder_locked(const std::string& from, const std::string& to);
  Result<std::shared_ptr<Content>> find_locked(const std::string& path) const;
  static std::string after_cut(const Content& content, std::mt19937_64& random);

  std::string network_;

  mutable std::mutex mutex_;
  // Under mutex_.
  Entries now_;
  Entries durable_;
  std::set<std::string> folders_;
  std::uint64_t calls_ = 0;
  std::uint64_t stop_at_ = UINT64_MAX;
  bool stopped_ = false;
  std::uint64_t life_ = 0;
};

}  // namespace persisting::testing
