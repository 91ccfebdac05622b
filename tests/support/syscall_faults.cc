#include "support/syscall_faults.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <numeric>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace persisting::testing {
namespace {

using Call = SyscallFaults::Call;

bool is_transfer(Call call) {
  return call == Call::kPread || call == Call::kPwrite || call == Call::kPwritev;
}

bool may_need_space(Call call) {
  switch (call) {
    case Call::kCreate:
    case Call::kMkdir:
    case Call::kPwrite:
    case Call::kPwritev:
    case Call::kFdatasync:  // where space is given out on write-back
    case Call::kFsync:
    case Call::kRename:
      return true;
    default:
      return false;
  }
}

bool may_be_interrupted(Call call) {
  switch (call) {
    case Call::kOpen:
    case Call::kCreate:
    case Call::kFtruncate:
    case Call::kFdatasync:
    case Call::kFsync:
    case Call::kFlock:
    case Call::kClose:
      return true;
    default:
      return is_transfer(call);
  }
}

}  // namespace

std::string_view SyscallFaults::name_of(Call call) {
  static constexpr std::array<std::string_view, call_count> names{
      "open",  "create", "opendir", "readdir", "closedir", "mkdir",     "stat",
      "fstat", "access", "pread",   "pwrite",  "pwritev",  "ftruncate", "fdatasync",
      "fsync", "rename", "unlink",  "flock",   "unlock",   "close"};
  return names[static_cast<std::size_t>(call)];
}

std::string_view SyscallFaults::name_of(Fault fault) {
  static constexpr std::array<std::string_view, 6> names{
      "IoError", "NoSpace", "FailedSync", "TornWrite", "ShortTransfer", "Interrupted"};
  return names[static_cast<std::size_t>(fault)];
}

bool SyscallFaults::is_transparent(Fault fault) {
  return fault == Fault::kShortTransfer || fault == Fault::kInterrupted;
}

SyscallFaults& SyscallFaults::instance() {
  // Never destroyed: files may be closed when static objects go.
  static SyscallFaults& faults = *new SyscallFaults();
  return faults;
}

void SyscallFaults::watch(std::string folder, Fault fault) {
  const std::lock_guard lock(mutex_);
  folder_ = std::move(folder);
  fault_ = fault;
  first_ = UINT64_MAX;
  counted_ = 0;
  covered_by_ = {};
  hits_ = {};
  torn_descriptor_ = -1;
}

void SyscallFaults::fail(std::uint64_t n, std::uint64_t period) {
  const std::lock_guard lock(mutex_);
  first_ = n;
  period_ = period;
}

void SyscallFaults::stop() {
  const std::lock_guard lock(mutex_);
  folder_.clear();
  descriptors_.reset();
  stream_ = nullptr;
}

std::uint64_t SyscallFaults::counted() const {
  const std::lock_guard lock(mutex_);
  return counted_;
}

std::uint64_t SyscallFaults::covered() const {
  const auto by = covered_by();
  return std::accumulate(by.begin(), by.end(), std::uint64_t{0});
}

std::array<std::uint64_t, SyscallFaults::call_count> SyscallFaults::covered_by() const {
  const std::lock_guard lock(mutex_);
  return covered_by_;
}

std::bitset<SyscallFaults::call_count> SyscallFaults::hit() const {
  const std::lock_guard lock(mutex_);
  std::bitset<call_count> hit;
  for (std::size_t i = 0; i < call_count; ++i) hit[i] = hits_[i] > 0;
  return hit;
}

std::uint64_t SyscallFaults::hits_except(std::bitset<call_count> these) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t hits = 0;
  for (std::size_t i = 0; i < call_count; ++i) hits += these[i] ? 0 : hits_[i];
  return hits;
}

SyscallFaults::Outcome SyscallFaults::begin(Call call, const char* path) {
  const std::lock_guard lock(mutex_);
  return is_below_locked(path) ? begin_locked(call, -1) : Outcome::kReal;
}

SyscallFaults::Outcome SyscallFaults::begin(Call call, int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(descriptor);
  const bool covered = descriptor >= 0 && index < max_descriptor && descriptors_[index];
  return covered ? begin_locked(call, descriptor) : Outcome::kReal;
}

SyscallFaults::Outcome SyscallFaults::begin(Call call, const void* stream) {
  const std::lock_guard lock(mutex_);
  return stream == stream_ ? begin_locked(call, -1) : Outcome::kReal;
}

bool SyscallFaults::is_watched(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  return is_below_locked(path);
}

int SyscallFaults::error_number() const {
  const std::lock_guard lock(mutex_);
  if (fault_ == Fault::kInterrupted) return EINTR;
  return fault_ == Fault::kNoSpace ? ENOSPC : EIO;
}

void SyscallFaults::opened(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(descriptor);
  if (descriptor >= 0 && index < max_descriptor && !folder_.empty()) descriptors_.set(index);
}

void SyscallFaults::closed(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(descriptor);
  if (descriptor >= 0 && index < max_descriptor) descriptors_.reset(index);
}

void SyscallFaults::opened(const void* stream) {
  const std::lock_guard lock(mutex_);
  if (!folder_.empty()) stream_ = stream;
}

void SyscallFaults::closed(const void* stream) {
  const std::lock_guard lock(mutex_);
  if (stream == stream_) stream_ = nullptr;
}

bool SyscallFaults::can_hit(Call call) const {
  switch (fault_) {
    case Fault::kIoError:
      return true;
    case Fault::kNoSpace:
      return may_need_space(call);
    case Fault::kFailedSync:
      return call == Call::kFdatasync || call == Call::kFsync;
    case Fault::kTornWrite:
      return call == Call::kPwritev;
    case Fault::kShortTransfer:
      return is_transfer(call);
    case Fault::kInterrupted:
      return may_be_interrupted(call);
  }
  return false;
}

bool SyscallFaults::is_below_locked(std::string_view path) const {
  return !folder_.empty() && path.starts_with(folder_) &&
         (path.size() == folder_.size() || path[folder_.size()] == '/');
}

SyscallFaults::Outcome SyscallFaults::begin_locked(Call call, int descriptor) {
  ++covered_by_[static_cast<std::size_t>(call)];
  const Outcome outcome = decide_locked(call, descriptor);
  if (outcome != Outcome::kReal) ++hits_[static_cast<std::size_t>(call)];
  return outcome;
}

SyscallFaults::Outcome SyscallFaults::decide_locked(Call call, int descriptor) {
  if (!can_hit(call)) return Outcome::kReal;
  if (torn_descriptor_ == descriptor && descriptor >= 0) {
    torn_descriptor_ = -1;
    return Outcome::kFail;  // the rest of a torn write; it has no number
  }
  const std::uint64_t n = counted_++;
  const bool is_hit = n == first_ || (n > first_ && period_ != 0 && (n - first_) % period_ == 0);
  if (!is_hit) return Outcome::kReal;
  if (fault_ == Fault::kTornWrite) torn_descriptor_ = descriptor;
  const bool is_short = fault_ == Fault::kTornWrite || fault_ == Fault::kShortTransfer;
  return is_short ? Outcome::kShort : Outcome::kFail;
}

}  // namespace persisting::testing

// ---- what the linker puts in the place of the calls ----

namespace {

using persisting::testing::SyscallFaults;
using Call = SyscallFaults::Call;
using Outcome = SyscallFaults::Outcome;

SyscallFaults& faults() { return SyscallFaults::instance(); }

int failed() {
  errno = faults().error_number();
  return -1;
}

// At least one byte: none would be the end of the file.
std::size_t half(std::size_t bytes) { return std::max<std::size_t>(bytes / 2, 1); }

// The first half of what `pieces` hold.
std::vector<iovec> first_half(const iovec* pieces, int count) {
  std::vector<iovec> taken(pieces, pieces + count);
  std::size_t left = 0;
  for (const iovec& piece : taken) left += piece.iov_len;
  left = half(left);
  for (iovec& piece : taken) {
    piece.iov_len = std::min(piece.iov_len, left);
    left -= piece.iov_len;
  }
  return taken;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker wants these names.
extern "C" {

int __real_open(const char* path, int flags, ...);
DIR* __real_opendir(const char* path);
dirent* __real_readdir(DIR* stream);
int __real_closedir(DIR* stream);
int __real_mkdir(const char* path, mode_t mode);
int __real_stat(const char* path, struct stat* status);
int __real_fstat(int descriptor, struct stat* status);
int __real_access(const char* path, int mode);
ssize_t __real_pread(int descriptor, void* buffer, size_t bytes, off_t offset);
ssize_t __real_pwrite(int descriptor, const void* buffer, size_t bytes, off_t offset);
ssize_t __real_pwritev(int descriptor, const iovec* pieces, int count, off_t offset);
int __real_ftruncate(int descriptor, off_t size);
int __real_fdatasync(int descriptor);
int __real_fsync(int descriptor);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);
int __real_flock(int descriptor, int operation);
int __real_close(int descriptor);

int __wrap_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  const Call call = (flags & O_CREAT) != 0 ? Call::kCreate : Call::kOpen;
  if (faults().begin(call, path) != Outcome::kReal) return failed();
  const int descriptor = __real_open(path, flags, mode);
  if (faults().is_watched(path)) faults().opened(descriptor);
  return descriptor;
}

DIR* __wrap_opendir(const char* path) {
  if (faults().begin(Call::kOpendir, path) != Outcome::kReal) return (failed(), nullptr);
  DIR* const stream = __real_opendir(path);
  if (stream != nullptr && faults().is_watched(path)) faults().opened(stream);
  return stream;
}

dirent* __wrap_readdir(DIR* stream) {
  const void* const key = stream;
  if (faults().begin(Call::kReaddir, key) != Outcome::kReal) return (failed(), nullptr);
  return __real_readdir(stream);
}

int __wrap_closedir(DIR* stream) {
  const void* const key = stream;
  const Outcome outcome = faults().begin(Call::kClosedir, key);
  faults().closed(key);
  const int result = __real_closedir(stream);
  return outcome == Outcome::kReal ? result : failed();
}

int __wrap_mkdir(const char* path, mode_t mode) {
  if (faults().begin(Call::kMkdir, path) != Outcome::kReal) return failed();
  return __real_mkdir(path, mode);
}

int __wrap_stat(const char* path, struct stat* status) {
  if (faults().begin(Call::kStat, path) != Outcome::kReal) return failed();
  return __real_stat(path, status);
}

int __wrap_fstat(int descriptor, struct stat* status) {
  if (faults().begin(Call::kFstat, descriptor) != Outcome::kReal) return failed();
  return __real_fstat(descriptor, status);
}

int __wrap_access(const char* path, int mode) {
  if (faults().begin(Call::kAccess, path) != Outcome::kReal) return failed();
  return __real_access(path, mode);
}

ssize_t __wrap_pread(int descriptor, void* buffer, size_t bytes, off_t offset) {
  const Outcome outcome = faults().begin(Call::kPread, descriptor);
  if (outcome == Outcome::kFail) return failed();
  return __real_pread(descriptor, buffer, outcome == Outcome::kShort ? half(bytes) : bytes, offset);
}

ssize_t __wrap_pwrite(int descriptor, const void* buffer, size_t bytes, off_t offset) {
  const Outcome outcome = faults().begin(Call::kPwrite, descriptor);
  if (outcome == Outcome::kFail) return failed();
  return __real_pwrite(descriptor, buffer, outcome == Outcome::kShort ? half(bytes) : bytes,
                       offset);
}

ssize_t __wrap_pwritev(int descriptor, const iovec* pieces, int count, off_t offset) {
  const Outcome outcome = faults().begin(Call::kPwritev, descriptor);
  if (outcome == Outcome::kFail) return failed();
  if (outcome == Outcome::kReal) return __real_pwritev(descriptor, pieces, count, offset);
  return __real_pwritev(descriptor, first_half(pieces, count).data(), count, offset);
}

int __wrap_ftruncate(int descriptor, off_t size) {
  if (faults().begin(Call::kFtruncate, descriptor) != Outcome::kReal) return failed();
  return __real_ftruncate(descriptor, size);
}

int __wrap_fdatasync(int descriptor) {
  if (faults().begin(Call::kFdatasync, descriptor) != Outcome::kReal) return failed();
  return __real_fdatasync(descriptor);
}

int __wrap_fsync(int descriptor) {
  if (faults().begin(Call::kFsync, descriptor) != Outcome::kReal) return failed();
  return __real_fsync(descriptor);
}

int __wrap_rename(const char* from, const char* to) {
  if (faults().begin(Call::kRename, to) != Outcome::kReal) return failed();
  return __real_rename(from, to);
}

int __wrap_unlink(const char* path) {
  if (faults().begin(Call::kUnlink, path) != Outcome::kReal) return failed();
  return __real_unlink(path);
}

int __wrap_flock(int descriptor, int operation) {
  const Call call = operation == LOCK_UN ? Call::kUnlock : Call::kFlock;
  if (faults().begin(call, descriptor) != Outcome::kReal) return failed();
  return __real_flock(descriptor, operation);
}

// Closes whatever becomes of the call, as Linux does.
int __wrap_close(int descriptor) {
  const Outcome outcome = faults().begin(Call::kClose, descriptor);
  faults().closed(descriptor);
  const int result = __real_close(descriptor);
  return outcome == Outcome::kReal ? result : failed();
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
