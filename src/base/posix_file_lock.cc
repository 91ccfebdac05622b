#include "base/posix_file_lock.h"

#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/posix_handle.h"

namespace persisting::posix {
namespace {

class PosixFileLock;

// Every lock of the process, so that a forked child can let go of its copies. flock belongs to the open file
// description, which parent and child share: the child has to close its descriptor, and must not unlock.
struct LockRegistry {
  std::mutex mutex;
  std::set<PosixFileLock*> locks;  // under mutex

  // Never destroyed: locks may be held by static objects.
  static LockRegistry& instance() {
    static LockRegistry& registry = *new LockRegistry();
    return registry;
  }
};

class PosixFileLock final : public FileLock {
 public:
  // Called with the registry's mutex held.
  explicit PosixFileLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {
    LockRegistry::instance().locks.insert(this);
  }

  ~PosixFileLock() override {
    LockRegistry& registry = LockRegistry::instance();
    const std::lock_guard guard(registry.mutex);
    registry.locks.erase(this);
    // Explicit, because a child between vfork and exec may hold a copy of the descriptor for a moment.
    if (descriptor_.valid()) ::flock(descriptor_.get(), LOCK_UN);
    descriptor_.close();
  }

  void close_in_child() { descriptor_.close(); }

 private:
  FileDescriptor descriptor_;
};

void before_fork() { LockRegistry::instance().mutex.lock(); }
void after_fork_in_parent() { LockRegistry::instance().mutex.unlock(); }
void after_fork_in_child() {
  LockRegistry& registry = LockRegistry::instance();
  for (PosixFileLock* lock : registry.locks) lock->close_in_child();
  registry.mutex.unlock();
}

// The process id in the lock file, if that process is there; else empty.
std::string read_holder(int descriptor) {
  char text[32];
  const ssize_t count =
      retry_interrupted([&] { return ::pread(descriptor, text, sizeof text, 0); });
  std::string holder;
  for (ssize_t i = 0; i < count && text[i] >= '0' && text[i] <= '9'; ++i) holder += text[i];
  const bool is_there = !holder.empty() && holder.size() < 10 &&
                        (::kill(std::stoi(holder), 0) == 0 || errno == EPERM);
  return is_there ? holder : std::string();
}

Error held_by_another(int descriptor, const std::string& path) {
  // A holder writes its id right after it got the lock. Until then the file has none, or its predecessor's.
  constexpr int tries = 50;
  std::string holder = read_holder(descriptor);
  for (int left = tries; holder.empty() && left > 0; --left) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    holder = read_holder(descriptor);
  }
  std::string message = path + " is held by ";
  if (holder.empty()) {
    message += "another process";
  } else {
    message += "process " + holder;
    if (holder == std::to_string(::getpid())) message += ", which is this one";
  }
  return make_error(ErrorCode::kBusy, std::move(message));
}

// Whether the kernel's list of locks has a flock of that process on that inode; also where there is no list to be read.
bool is_listed_as_locked(const std::string& holder, ino_t inode) {
  std::ifstream locks("/proc/locks");
  if (!locks) return true;
  // "1: FLOCK  ADVISORY  WRITE 7411 fe:00:9980433 0 EOF". The device is not compared: some file systems tell another one here.
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string mode;
    std::string process;
    std::string file;
    words >> number >> kind >> advisory >> mode >> process >> file;
    if (kind == "FLOCK" && process == holder && file.ends_with(":" + std::to_string(inode)))
      return true;
  }
  return false;
}

Status write_holder(int descriptor, const std::string& path) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (retry_interrupted([&] { return ::ftruncate(descriptor, 0); }) != 0) {
    return system_error("truncate", path);
  }
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = retry_interrupted([&] {
      return ::pwrite(descriptor, text.data() + written, text.size() - written,
                      static_cast<off_t>(written));
    });
    if (count < 0) return system_error("write", path);
    written += static_cast<std::size_t>(count);
  }
  return ok_status();
}

}  // namespace

Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, mode_t mode) {
  static const int registered =
      ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  if (registered != 0) {
    errno = registered;
    return system_error("pthread_atfork for", path);
  }
  // The mutex keeps a fork from happening between the opening and the entry in the registry.
  std::unique_lock guard(LockRegistry::instance().mutex);
  FileDescriptor descriptor = open_file(path, O_RDWR | O_CREAT, mode);
  if (!descriptor.valid()) return system_error("open", path);
  const int locked =
      retry_interrupted([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); });
  if (locked != 0) {
    if (errno != EWOULDBLOCK) return system_error("flock", path);
    guard.unlock();
    return held_by_another(descriptor.get(), path);
  }
  PERSISTING_RETURN_IF_ERROR(write_holder(descriptor.get(), path));
  return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(descriptor)));
}

Result<std::optional<std::int64_t>> lock_holder(const std::string& path) {
  const FileDescriptor descriptor = open_file(path, O_RDONLY, 0);
  if (!descriptor.valid()) {
    if (errno == ENOENT) return std::optional<std::int64_t>();
    return system_error("open", path);
  }
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) return system_error("stat", path);
  const std::string holder = read_holder(descriptor.get());
  if (holder.empty() || !is_listed_as_locked(holder, status.st_ino))
    return std::optional<std::int64_t>();
  return std::optional<std::int64_t>(std::stoll(holder));
}

}  // namespace persisting::posix
