// Small files that are replaced whole and carry their own checksum: BUCKET and CHECKPOINT.
// Layout: magic (8 bytes) | format version u32 | payload length u32 | payload | XXH3-64 of all before, u64.
//         The payload is a MessagePack map. docs/formats.md lists the keys.
// Failure: kCorruption where a byte differs, kUnsupported for a newer format version; both name the file.
// Threads: free functions; the caller serialises writes of one file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "persisting/value.h"

#include "base/file_system.h"

namespace persisting {

struct SealedFormat {
  std::string_view magic;  // 8 bytes
  std::uint32_t version;   // that is written; it and those before it are read
};

// Replaces `path` durably.
Status write_sealed_file(FileSystem& file_system, const std::string& path,
                         const SealedFormat& format, const Struct& payload);

// The payload; nothing where there is no such file.
Result<std::optional<Struct>> read_sealed_file(FileSystem& file_system, const std::string& path,
                                               const SealedFormat& format);

// The payload's value of that name and type, or kCorruption.
Result<std::int64_t> sealed_integer(const Struct& payload, std::string_view name);
Result<List> sealed_list(const Struct& payload, std::string_view name);
Result<std::string> sealed_text(const Struct& payload, std::string_view name);

}  // namespace persisting
