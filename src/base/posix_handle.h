// Small helpers around POSIX calls: an owned descriptor, EINTR, errno as an Error.
// Threads: thread-compatible.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "persisting/result.h"

namespace persisting::posix {

// Repeats `call` while a signal interrupts it.
template <typename Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// The failure that errno holds, of `call` on `path`.
inline Error system_error(const std::string& call, const std::string& path) {
  const int number = errno;
  return make_error(ErrorCode::kIo, call + " " + path + ": " +
                                        std::generic_category().message(number) + " (errno " +
                                        std::to_string(number) + ")");
}

// Owns a descriptor; closes it when destroyed.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  bool valid() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  // Not repeated on EINTR: Linux has closed the descriptor by then.
  void close() {
    if (valid()) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_ = -1;
};

// Opens `path` so that it closes on exec; not valid() on failure, with the reason in errno.
inline FileDescriptor open_file(const std::string& path, int flags, mode_t mode) {
  return FileDescriptor(
      retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); }));
}

}  // namespace persisting::posix
