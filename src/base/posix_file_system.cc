// The FileSystem of POSIX machines.
// Interrupted calls are repeated and short transfers continued, so that neither reaches a caller.
#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file_system.h"
#include "base/network_file_system.h"
#include "base/posix_file_lock.h"
#include "base/posix_handle.h"
#include "base/posix_writable_file.h"

namespace persisting {
namespace {

using posix::FileDescriptor;
using posix::retry_interrupted;
using posix::system_error;

constexpr mode_t file_mode = 0644;
constexpr mode_t folder_mode = 0755;

Status sync_path(const std::string& path, int flags) {
  const FileDescriptor descriptor = posix::open_file(path, flags | O_RDONLY, 0);
  if (!descriptor.valid()) return system_error("open", path);
  if (retry_interrupted([&] { return ::fsync(descriptor.get()); }) != 0) {
    // EINVAL: a file system that has no fsync for folders and so offers no more than it did.
    if (errno != EINVAL || (flags & O_DIRECTORY) == 0) return system_error("fsync", path);
  }
  return ok_status();
}

class PosixFileSystem final : public FileSystem {
 public:
  Status create_folders(const std::string& path) override {
    if (::mkdir(path.c_str(), folder_mode) == 0) return sync_folder(parent_folder(path));
    if (errno == EEXIST) return accept_existing_folder(path);
    if (errno != ENOENT) return system_error("mkdir", path);
    const std::string parent = parent_folder(path);
    if (parent == path) return system_error("mkdir", path);
    PERSISTING_RETURN_IF_ERROR(create_folders(parent));
    if (::mkdir(path.c_str(), folder_mode) != 0 && errno != EEXIST) {
      return system_error("mkdir", path);
    }
    return sync_folder(parent);
  }

  Result<std::vector<std::string>> list_folder(const std::string& path) override {
    DIR* const folder = ::opendir(path.c_str());
    if (folder == nullptr) {
      if (errno == ENOENT) return std::vector<std::string>();
      return system_error("opendir", path);
    }
    std::vector<std::string> names;
    errno = 0;
    // Each call has a stream of its own.
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    while (const dirent* entry = ::readdir(folder)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
      errno = 0;
    }
    const int failure = errno;
    ::closedir(folder);
    if (failure != 0) {
      errno = failure;
      return system_error("readdir", path);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status sync_folder(const std::string& path) override { return sync_path(path, O_DIRECTORY); }
  Status sync_file(const std::string& path) override { return sync_path(path, 0); }

  Result<bool> exists(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return system_error("stat", path);
  }

  Result<std::uint64_t> file_size(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return system_error("stat", path);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::optional<FileState>> file_state(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileState>();
      return system_error("stat", path);
    }
    const auto changed =
        std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    return std::optional<FileState>(
        {static_cast<std::uint64_t>(status.st_size), status.st_ino, changed});
  }

  Result<std::string> read_file(const std::string& path) override {
    return read_range(path, 0, UINT64_MAX);
  }

  Result<std::string> read_range(const std::string& path, std::uint64_t begin,
                                 std::uint64_t bytes) override {
    const FileDescriptor descriptor = posix::open_file(path, O_RDONLY, 0);
    if (!descriptor.valid()) return system_error("open", path);
    struct stat status {};
    if (::fstat(descriptor.get(), &status) != 0) return system_error("stat", path);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    std::string contents(static_cast<std::size_t>(std::min(size - std::min(size, begin), bytes)),
                         '\0');
    std::size_t filled = 0;
    while (filled < contents.size()) {
      const ssize_t count = retry_interrupted([&] {
        return ::pread(descriptor.get(), contents.data() + filled, contents.size() - filled,
                       static_cast<off_t>(begin + filled));
      });
      if (count < 0) return system_error("read", path);
      if (count == 0) {
        return make_error(ErrorCode::kIo, "read " + path + ": ends at byte " +
                                              std::to_string(begin + filled) + " of " +
                                              std::to_string(size));
      }
      filled += static_cast<std::size_t>(count);
    }
    return contents;
  }

  Result<std::unique_ptr<WritableFile>> open_append(const std::string& path) override {
    return posix::open_writable_file(path, file_mode);
  }

  Status remove_file(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return system_error("unlink", path);
    return ok_status();
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename " + from + " to", to);
    return ok_status();
  }

  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override {
    return posix::lock_file(path, file_mode);
  }

  Result<std::optional<std::int64_t>> lock_holder(const std::string& path) override {
    return posix::lock_holder(path);
  }

  Result<std::string> network_file_system(const std::string& path) override {
    struct statfs status {};
    if (retry_interrupted([&] { return ::statfs(path.c_str(), &status); }) != 0)
      return system_error("statfs", path);
    // The type is signed on some machines, where a large number must not be extended.
    return std::string(network_file_system_name(static_cast<std::uint32_t>(status.f_type)));
  }

 private:
  // Whoever made the folder may have died before syncing its parent. A parent that we may not open was not made by us.
  Status accept_existing_folder(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return system_error("stat", path);
    if (!S_ISDIR(status.st_mode)) {
      errno = ENOTDIR;
      return system_error("mkdir", path);
    }
    const std::string parent = parent_folder(path);
    if (::access(parent.c_str(), R_OK) != 0) return ok_status();
    return sync_folder(parent);
  }
};

}  // namespace

FileSystem& FileSystem::posix() {
  // Never destroyed: files may still be open when static objects go.
  static FileSystem& instance = *new PosixFileSystem();
  return instance;
}

}  // namespace persisting
