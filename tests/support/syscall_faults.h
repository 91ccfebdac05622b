// Makes system calls of the library fail under the real PosixFileSystem, as a test tells it.
// How:       the linker sends the calls of our own objects to __wrap_<call> (--wrap); a program that uses this links with
//            persisting_wrap_syscalls() of tests/CMakeLists.txt. The C++ runtime's own calls stay as they are.
// Covered:   calls on paths below the watched folder (and on it), and on descriptors opened there.
// Numbering: of the covered calls that a fault can hit, from 0 on, in the order in which they begin.
// Threads:   thread-safe.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace persisting::testing {

class SyscallFaults {
 public:
  enum class Call : std::uint8_t {
    kOpen,    // of a file that is there, or of a folder
    kCreate,  // open with O_CREAT
    kOpendir,
    kReaddir,
    kClosedir,
    kMkdir,
    kStat,
    kFstat,
    kAccess,
    kPread,
    kPwrite,
    kPwritev,
    kFtruncate,
    kFdatasync,
    kFsync,
    kRename,
    kUnlink,
    kFlock,
    kUnlock,
    kClose,
    kCount,
  };
  static constexpr std::size_t call_count = static_cast<std::size_t>(Call::kCount);
  static std::string_view name_of(Call call);

  enum class Fault : std::uint8_t {
    kIoError,        // EIO at any call; nothing is done, but a close closes
    kNoSpace,        // ENOSPC at calls that may need space; nothing is done
    kFailedSync,     // EIO at fsync and fdatasync alone
    kTornWrite,      // half of a pwritev, then EIO at the call that goes on with it
    kShortTransfer,  // half of a read or write, and its count
    kInterrupted,    // EINTR at calls that may return it; nothing is done, but a close closes
  };
  static std::string_view name_of(Fault fault);
  // Whether POSIX lets the call end so without anything being wrong.
  static bool is_transparent(Fault fault);

  // The faults of this process.
  static SyscallFaults& instance();

  // Covers `folder` from now on, counting calls that `fault` can hit; none of them fails yet.
  void watch(std::string folder, Fault fault);
  // The n-th counted call fails, and then every `period`-th; 0: none but the n-th.
  void fail(std::uint64_t n, std::uint64_t period);
  // Calls succeed again, and are not counted.
  void stop();

  std::uint64_t counted() const;                             // calls that the fault can hit
  std::uint64_t covered() const;                             // calls in the folder
  std::array<std::uint64_t, call_count> covered_by() const;  // the same, by call
  std::bitset<call_count> hit() const;                       // which calls the fault has hit
  // How often it has hit others than `these`.
  std::uint64_t hits_except(std::bitset<call_count> these) const;

  // ---- for the wrappers ----

  enum class Outcome : std::uint8_t { kReal, kFail, kShort };
  Outcome begin(Call call, const char* path);
  Outcome begin(Call call, int descriptor);
  Outcome begin(Call call, const void* stream);
  bool is_watched(std::string_view path) const;
  // errno of calls that fail.
  int error_number() const;
  void opened(int descriptor);
  void closed(int descriptor);
  void opened(const void* stream);
  void closed(const void* stream);

 private:
  static constexpr std::size_t max_descriptor = 4096;

  bool can_hit(Call call) const;
  bool is_below_locked(std::string_view path) const;
  Outcome begin_locked(Call call, int descriptor);
  Outcome decide_locked(Call call, int descriptor);

  mutable std::mutex mutex_;
  // Under mutex_.
  std::string folder_;  // empty: nothing is covered
  Fault fault_ = Fault::kIoError;
  std::uint64_t first_ = UINT64_MAX;
  std::uint64_t period_ = 0;
  std::uint64_t counted_ = 0;
  std::array<std::uint64_t, call_count> covered_by_{};
  std::array<std::uint64_t, call_count> hits_{};
  int torn_descriptor_ = -1;  // whose next write fails
  std::bitset<max_descriptor> descriptors_;
  const void* stream_ = nullptr;  // the folder being listed; one at a time
};

}  // namespace persisting::testing
