#include "base/file_digest.h"

#include "base/checksum.h"

namespace persisting {

Result<FileDigest> digest_file(FileSystem& file_system, const std::string& path) {
  constexpr std::uint64_t piece_bytes = 4 << 20;
  FileDigest digest;
  Checksum checksum;
  while (true) {
    PERSISTING_ASSIGN_OR_RETURN(const std::string piece,
                                file_system.read_range(path, digest.bytes, piece_bytes));
    checksum.update(piece);
    digest.bytes += piece.size();
    if (piece.size() < piece_bytes) break;
  }
  digest.checksum = checksum.digest64();
  return digest;
}

}  // namespace persisting
