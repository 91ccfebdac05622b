// The seam between the library and the disk. Everything that the library itself reads or writes goes through it,
// so that tests can make the n-th call fail or cut the power. (Lance does its own I/O.)
// Failure: kIo with the call, the path and errno's text; kBusy from lock_file where another process holds it.
// Threads: a FileSystem is thread-safe; a WritableFile is used by one thread at a time, except that sync() and reserve() may
//          run beside the other calls: a sync covers what had returned before it began.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "persisting/result.h"

namespace persisting {

// A file open for appending. Destroying it closes the descriptor without syncing.
class WritableFile {
 public:
  WritableFile() = default;
  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;
  virtual ~WritableFile() = default;

  // Writes all of `pieces` at the end, in order. On failure an unknown part of them may have been written.
  virtual Status append(const std::vector<std::string_view>& pieces) = 0;
  // fdatasync: contents and size are durable. The folder's entry is not; see FileSystem::sync_folder.
  virtual Status sync() = 0;
  // Cuts the file to `size` bytes, which is its end then: nothing stays reserved.
  virtual Status truncate(std::uint64_t size) = 0;

  // Room: zeros behind the end, for appends to come. An append that fits in changes neither the file's size nor its blocks,
  // so that its sync costs less, and it cannot run out of space. Nobody has to make room; where it cannot be made there is
  // none, and appends go on.

  // Makes the room larger by `bytes`. A failure leaves what there was.
  virtual Status reserve(std::uint64_t /*bytes*/) { return ok_status(); }
  // Bytes that are there for the next appends.
  virtual std::uint64_t room() const { return 0; }
  // Asks that the room in the first `bytes` of the file be memory that is shared with the kernel.
  virtual void map(std::uint64_t /*bytes*/) {}
  // Whether that was granted.
  virtual bool is_mapped() const { return false; }
  // append() of what fits into the room of a mapped file: a copy, with no system call, that cannot fail. The kernel has the
  // bytes then as after any append. Where the file ends at a multiple of eight, the first eight come last: whoever reads the file
  // meanwhile and finds them finds all.
  virtual void append_in_room(std::string_view /*bytes*/) {}
};

// An exclusive lock on a file, held until destroyed. Survives neither exec nor the process; a forked child does
// not hold it.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// What tells, without reading it, that a file has been replaced or written to.
struct FileState {
  std::uint64_t bytes = 0;
  std::uint64_t identity = 0;  // of the contents or of the inode
  std::int64_t changed_ns = 0;
  bool operator==(const FileState&) const = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // The file system of the machine.
  static FileSystem& posix();

  // Creates the folder and its parents, each durably in its parent. Existing ones are fine.
  virtual Status create_folders(const std::string& path) = 0;
  // Names in the folder, sorted, without "." and "..". A folder that is not there has none.
  virtual Result<std::vector<std::string>> list_folder(const std::string& path) = 0;
  // fsync of the folder: its entries are durable.
  virtual Status sync_folder(const std::string& path) = 0;
  // fsync of a file by path.
  virtual Status sync_file(const std::string& path) = 0;

  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  // Nothing: there is no such file.
  virtual Result<std::optional<FileState>> file_state(const std::string& path);
  // The whole file. A short read is an error, never an end of file.
  virtual Result<std::string> read_file(const std::string& path) = 0;
  // Bytes [offset, offset + bytes) of the file; fewer, or none, where it ends before.
  virtual Result<std::string> read_range(const std::string& path, std::uint64_t offset,
                                         std::uint64_t bytes);

  // Opens for appending; creates the file where it is not there. The folder is not synced.
  virtual Result<std::unique_ptr<WritableFile>> open_append(const std::string& path) = 0;

  virtual Status remove_file(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;

  // Takes the exclusive lock on `path`, creating the file, and writes the process id into it. kBusy names the
  // holder's pid.
  virtual Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) = 0;

  // The process that holds the lock on `path`; nothing where none does, or none that can be seen from here. Takes no lock, so
  // that it cannot keep anybody from it.
  virtual Result<std::optional<std::int64_t>> lock_holder(const std::string& path);

  // The name of the network file system that holds `path` ("nfs", ...); empty where that is a local one.
  virtual Result<std::string> network_file_system(const std::string& path);
};

// Replaces `path` by `contents` so that after a crash either the old or the new contents are there,
// whole: writes `path`.tmp, syncs it, renames it, syncs the folder.
Status replace_file_durably(FileSystem& file_system, const std::string& path,
                            std::string_view contents);

// The folder part of a path; "." where there is none.
std::string parent_folder(const std::string& path);

}  // namespace persisting
