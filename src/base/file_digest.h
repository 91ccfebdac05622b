// Size and checksum of a whole file, read in pieces.
#pragma once

#include <cstdint>
#include <string>

#include "base/file_system.h"

namespace persisting {

struct FileDigest {
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64
  bool operator==(const FileDigest&) const = default;
};

// kIo where the file cannot be read. Thread-safe.
Result<FileDigest> digest_file(FileSystem& file_system, const std::string& path);

}  // namespace persisting
