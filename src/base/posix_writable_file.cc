#include "base/posix_writable_file.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/posix_handle.h"

namespace persisting::posix {
namespace {

constexpr std::size_t zeros_bytes = 64 << 10;
// Of XFS, which linux/magic.h leaves out.
constexpr std::uint32_t xfs_magic = 0x58465342;

std::uint64_t total_size(const std::vector<std::string_view>& pieces) {
  std::uint64_t total = 0;
  for (const std::string_view piece : pieces) total += piece.size();
  return total;
}

// Whether a page that was written once can be written again through memory without new space: a file system that copies on
// write has to find some, and where it finds none, the writer gets SIGBUS.
bool overwrites_in_place(int descriptor) {
  struct statfs status {};
  if (retry_interrupted([&] { return ::fstatfs(descriptor, &status); }) != 0) return false;
  switch (static_cast<std::uint32_t>(status.f_type)) {
    case EXT4_SUPER_MAGIC:
    case xfs_magic:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
      return true;
    default:
      return false;
  }
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(FileDescriptor descriptor, std::string path, std::uint64_t size)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), end_(size), file_end_(size) {}
  ~PosixWritableFile() override {
    if (memory_ != nullptr) ::munmap(memory_, mapped_bytes_);
  }
  PosixWritableFile(const PosixWritableFile&) = delete;
  PosixWritableFile& operator=(const PosixWritableFile&) = delete;

  Status append(const std::vector<std::string_view>& pieces) override {
    const std::uint64_t bytes = total_size(pieces);
    if (memory_ != nullptr && bytes <= room()) {
      for (const std::string_view piece : pieces) {
        if (!piece.empty()) std::memcpy(memory_ + end_, piece.data(), piece.size());
        end_ += piece.size();
      }
      return ok_status();
    }
    std::unique_lock growing(growing_, std::defer_lock);
    if (bytes > file_end_ - end_) growing.lock();
    PERSISTING_RETURN_IF_ERROR(write(pieces));
    end_ += bytes;
    if (end_ > file_end_) file_end_ = end_;
    return ok_status();
  }

  Status sync() override {
    if (retry_interrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) {
      return system_error("fdatasync", path_);
    }
    return ok_status();
  }

  Status truncate(std::uint64_t size) override {
    const std::lock_guard growing(growing_);
    const auto length = static_cast<off_t>(size);
    if (retry_interrupted([&] { return ::ftruncate(descriptor_.get(), length); }) != 0) {
      return system_error("truncate", path_);
    }
    end_ = size;
    file_end_ = size;
    return ok_status();
  }

  // Zeros are written, not only allocated: a sync would have to note of each allocated block that it is written now.
  // A piece at a time: who appends meanwhile can use each at once, and waits for one piece at most.
  Status reserve(std::uint64_t bytes) override {
    static const std::vector<char> zeros(zeros_bytes);
    while (bytes > 0) {
      const std::lock_guard growing(growing_);
      const std::uint64_t begin = file_end_;
      const ssize_t written = retry_interrupted([&] {
        return ::pwrite(descriptor_.get(), zeros.data(),
                        std::min<std::uint64_t>(bytes, zeros_bytes), static_cast<off_t>(begin));
      });
      if (written <= 0) return system_error("write", path_);
      const auto added = static_cast<std::uint64_t>(written);
      populate(begin, begin + added);
      file_end_ = begin + added;
      bytes -= added;
    }
    return ok_status();
  }

  std::uint64_t room() const override {
    const std::uint64_t file_end = file_end_.load(std::memory_order_acquire);
    const std::uint64_t end =
        memory_ == nullptr ? file_end : std::min<std::uint64_t>(file_end, mapped_bytes_);
    return end > end_ ? end - end_ : 0;
  }

  // More than the file has is mapped: what lies behind its end can be used once the file has grown so far.
  void map(std::uint64_t bytes) override {
    if (memory_ != nullptr || !overwrites_in_place(descriptor_.get())) return;
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<char*>(memory);
    mapped_bytes_ = bytes;
  }

  bool is_mapped() const override { return memory_ != nullptr; }

  void append_in_room(std::string_view bytes) override {
    assert(memory_ != nullptr && bytes.size() <= room());
    char* const begin = memory_ + end_;
    std::uint64_t first = 0;
    if (end_ % sizeof(first) != 0 || bytes.size() < sizeof(first)) {
      std::memcpy(begin, bytes.data(), bytes.size());
    } else {
      std::memcpy(&first, bytes.data(), sizeof(first));
      std::memcpy(begin + sizeof(first), bytes.data() + sizeof(first),
                  bytes.size() - sizeof(first));
      // In one piece, behind the others: who reads them may be another process.
      __atomic_store_n(reinterpret_cast<std::uint64_t*>(begin), first, __ATOMIC_RELEASE);
    }
    end_ += bytes.size();
  }

 private:
  Status write(const std::vector<std::string_view>& pieces) {
    std::vector<iovec> left;
    left.reserve(pieces.size());
    for (const std::string_view piece : pieces) {
      if (piece.empty()) continue;
      // pwritev does not write through the pointer; its type serves preadv as well.
      left.push_back({const_cast<char*>(piece.data()), piece.size()});
    }
    std::size_t next = 0;
    std::uint64_t position = end_;
    while (next < left.size()) {
      const int count = static_cast<int>(std::min<std::size_t>(left.size() - next, IOV_MAX));
      const ssize_t written = retry_interrupted([&] {
        return ::pwritev(descriptor_.get(), &left[next], count, static_cast<off_t>(position));
      });
      if (written < 0) return system_error("write", path_);
      if (written == 0) return make_error(ErrorCode::kIo, "write " + path_ + ": nothing written");
      position += static_cast<std::uint64_t>(written);
      next = skip_written(left, next, static_cast<std::size_t>(written));
    }
    return ok_status();
  }

  // Takes `written` bytes off the front; returns the first piece of which something is left.
  static std::size_t skip_written(std::vector<iovec>& left, std::size_t next, std::size_t written) {
    while (next < left.size() && written >= left[next].iov_len) written -= left[next++].iov_len;
    if (written > 0) {
      left[next].iov_base = static_cast<char*>(left[next].iov_base) + written;
      left[next].iov_len -= written;
    }
    return next;
  }

  // Has the pages of [begin, end) at hand, so that no append waits for them. A kernel before 5.14 cannot; then they come
  // one by one.
  void populate(std::uint64_t begin, std::uint64_t end) {
#ifdef MADV_POPULATE_WRITE
    if (memory_ == nullptr || begin >= mapped_bytes_) return;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    begin -= begin % page;
    end = std::min<std::uint64_t>(end, mapped_bytes_);
    (void)::madvise(memory_ + begin, end - begin, MADV_POPULATE_WRITE);
#else
    (void)begin;
    (void)end;
#endif
  }

  const FileDescriptor descriptor_;
  const std::string path_;
  char* memory_ = nullptr;  // of the file's first mapped_bytes_
  std::uint64_t mapped_bytes_ = 0;
  std::uint64_t end_;  // where the next append goes

  std::mutex growing_;  // whoever moves file_end_
  std::atomic<std::uint64_t> file_end_;
};

}  // namespace

Result<std::unique_ptr<WritableFile>> open_writable_file(const std::string& path, mode_t mode) {
  FileDescriptor descriptor = open_file(path, O_RDWR | O_CREAT, mode);
  if (!descriptor.valid()) return system_error("open", path);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) return system_error("stat", path);
  return std::unique_ptr<WritableFile>(std::make_unique<PosixWritableFile>(
      std::move(descriptor), path, static_cast<std::uint64_t>(status.st_size)));
}

}  // namespace persisting::posix
