// Puts right the checksums of logs that a fuzzer made up, and only those: every other damage stays.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "base/endian.h"
#include "wal/wal_format.h"

namespace persisting::fuzz {

// A frame may hold up to a gigabyte, which decoding makes room for. Claims beyond this only slow a
// fuzzer down.
inline constexpr std::uint64_t largest_claim = 1 << 20;

template <typename T>
void store_little_endian(std::string& bytes, std::size_t position, T value) {
  std::memcpy(bytes.data() + position, &value, sizeof(value));
}

// What a frame at `position` takes in the file, padding included, once its checksum is right;
// nothing where no frame can stand. One that claims some bytes more than there are gets the
// checksum of those that are there: only its length then gives it away.
inline std::optional<std::size_t> fix_frame(std::string& file, std::size_t position,
                                            std::uint64_t seed) {
  constexpr std::size_t too_long = 64;
  if (position > file.size() ||
      file.size() - position < wal::frame_header_bytes + wal::payload_head_bytes) {
    return std::nullopt;
  }
  const auto length = load_little_endian<std::uint32_t>(file.data() + position);
  const std::size_t payload = position + wal::frame_header_bytes;
  const std::size_t rest = file.size() - payload;
  if (length < wal::payload_head_bytes || length > rest + too_long) return std::nullopt;
  const bool compressed = file[payload + 1] != 0;
  if (compressed && load_little_endian<std::uint64_t>(file.data() + payload + 32) > largest_claim)
    return std::nullopt;
  Checksum checksum(seed);
  checksum.update(std::string_view(file).substr(position, sizeof(length)));
  checksum.update(std::string_view(file).substr(payload, length));
  store_little_endian(file, position + sizeof(length), checksum.digest32());
  if (length > rest) return std::nullopt;
  const std::size_t bytes = wal::frame_header_bytes + length;
  return bytes + wal::padding_after(bytes);
}

// Every frame that recovery may come across from `position` on.
inline void fix_frames(std::string& file, std::size_t position, std::uint64_t seed) {
  while (position < file.size()) {
    position += fix_frame(file, position, seed).value_or(wal::frame_alignment);
  }
}

inline void fix_segment_header(std::string& segment) {
  constexpr std::size_t at = wal::segment_header_bytes - sizeof(std::uint32_t);
  if (segment.size() < wal::segment_header_bytes) return;
  store_little_endian(
      segment, at, static_cast<std::uint32_t>(checksum64(std::string_view(segment).substr(0, at))));
}

}  // namespace persisting::fuzz
